// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import { envInt, envPort, envString } from "#lib/config.ts";

/** Environment of the server API; part of logic's. */
export const serverApiShape = {
  IM_API_PORT: envPort().optional().describe("the port of the API for the shop's backends; without it there is none"),
  IM_API_GRPC_PORT: envPort().optional().describe("the port of the same API over gRPC; without it there is none"),
  IM_API_KEYS_FILE: envString()
    .optional()
    .describe("a JSON file with API keys, besides those that keys-main.ts makes; see docs/server-api.md"),
  IM_API_TLS_DIR: envString()
    .optional()
    .describe("a folder with tls.crt and tls.key; with ca.crt, callers must show a certificate of it"),
  /** Calls of one key, in each process. */
  IM_API_RATE_PER_SECOND: envInt(1, 100_000).default(100),
  /** How long the audit log is kept. */
  IM_API_AUDIT_DAYS: envInt(90, 3650).default(400),
};
export type ServerApiConfig = z.infer<z.ZodObject<typeof serverApiShape>>;
