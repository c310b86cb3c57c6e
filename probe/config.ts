// SPDX-License-Identifier: Apache-2.0

import * as z from "zod";
import { envDurationMs, envString, envUrl, loadConfig } from "#lib/config.ts";

const schema = z.object({
  IM_PROBE_URL: envUrl("tls:", "tcp:").describe("where clients connect, such as tls://shop-entry.chat.svc:443"),
  /** PEM; when there is no such file, the authorities of Node are trusted. */
  IM_PROBE_CA_FILE: envString().optional(),
  /** Name in the certificate, when it is not the host of the URL. */
  IM_PROBE_SERVER_NAME: envString(253).optional(),
  IM_PROBE_KEY_FILE: envString().optional().describe("a private key as JWK, with which tokens are signed"),
  IM_PROBE_TOKENS_DIR: envString()
    .optional()
    .describe("a folder with the tokens of two users, in files sender and receiver"),
  IM_PROBE_ISSUER: envString(256).default("imcluster"),
  IM_PROBE_AUDIENCE: envString(256).default("demo"),
  /** Of all steps together. */
  IM_PROBE_TIMEOUT: envDurationMs(1_000, 600_000).default(60_000),
});

export type ProbeConfig = z.infer<typeof schema>;

/** @throws {ImError} BAD_REQUEST that lists every bad variable */
export const probeConfig = (env: NodeJS.ProcessEnv = process.env): ProbeConfig => loadConfig(schema, env);
