// SPDX-License-Identifier: Apache-2.0
// `node logic/admin.ts revoke-user|revoke-token|kick|presence|locate|trace ...`: see docs/operations.md.
import * as z from "zod";
import { envString, loadConfig } from "#lib/config.ts";
import { ErrorCode, ImError, toImError } from "#lib/errors.ts";
import { createChannelClient } from "#lib/grpc.ts";
import { loadInternalTls } from "#lib/internal-tls.ts";
import { serviceDefinition } from "#proto/load.ts";
import { internalTokenId, TENANT } from "./tenant/tenant-ids.ts";

const DEADLINE_MS = 10_000;

const schema = z.object({
  IM_INTERNAL_TLS_DIR: envString().optional(),
  IM_ADMIN_TARGET: envString(300).default("127.0.0.1:7443").describe("host:port of a logic"),
});

/** A call of LogicAdmin, or of LogicInspect. */
export interface AdminCall {
  /** Default LogicAdmin. */
  service?: "LogicAdmin" | "LogicInspect";
  method: string;
  request: object;
}

const USAGE =
  "usage: revoke-user USER | revoke-token JTI [TENANT] | kick USER [SLOT] [REASON] | presence USER... | locate USER | trace USER MESSAGE\n" +
  "USER is TENANT/ID, or ID in the default tenant";

/**
 * What the words of a command line ask for.
 * @throws {ImError} BAD_REQUEST with the usage
 */
export function parseCommand([command, ...words]: readonly string[]): AdminCall {
  const [first = "", second = "", third = ""] = words;
  if (first !== "")
    switch (command) {
      case "revoke-user":
        if (words.length === 1) return { method: "RevokeUser", request: { userId: first } };
        break;
      case "revoke-token":
        if (words.length <= 2 && TENANT.test(second))
          return { method: "RevokeToken", request: { tokenId: internalTokenId(second, first) } };
        break;
      case "kick":
        if (words.length <= 3) return { method: "KickUser", request: { userId: first, slot: second, reason: third } };
        break;
      case "presence":
        return { method: "Presence", request: { userIds: words } };
      case "locate":
        if (words.length === 1) return { service: "LogicInspect", method: "Locate", request: { userId: first } };
        break;
      case "trace":
        if (words.length === 2)
          return { service: "LogicInspect", method: "Trace", request: { userId: first, message: second } };
        break;
    }
  throw new ImError(ErrorCode.BAD_REQUEST, USAGE);
}

/** Makes the call and returns the reply. @throws {ImError} as the logic said */
export async function callAdmin(
  { service = "LogicAdmin", method, request }: AdminCall,
  env: NodeJS.ProcessEnv = process.env,
): Promise<object> {
  const config = loadConfig(schema, env);
  const client = createChannelClient({
    address: config.IM_ADMIN_TARGET,
    definition: serviceDefinition(`im.uplink.v1.${service}`),
    role: "logic",
    tls: loadInternalTls(config.IM_INTERNAL_TLS_DIR),
  });
  try {
    return await client.call<object>(method, request, DEADLINE_MS);
  } finally {
    client.close();
  }
}

if (import.meta.main) {
  try {
    process.stdout.write(`${JSON.stringify(await callAdmin(parseCommand(process.argv.slice(2))))}\n`);
  } catch (error) {
    process.stderr.write(`${toImError(error).message}\n`);
    process.exitCode = 1;
  }
}
