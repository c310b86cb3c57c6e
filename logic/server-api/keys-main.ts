// SPDX-License-Identifier: Apache-2.0
// `node logic/server-api/keys-main.ts create|list|revoke ...`: makes, lists and revokes keys of the server API in the database
// of IM_POSTGRES_URL. Prints one line of JSON; 0 = done, 1 = failed, 2 = bad configuration or usage. The key itself is
// printed once, when it is made: only its hash is kept.
import { parseArgs } from "node:util";
import * as z from "zod";
import { envUrl, loadConfig } from "#lib/config.ts";
import { ErrorCode, ImError, toImError } from "#lib/errors.ts";
import { openPostgresStore } from "../store/postgres-store.ts";
import type { ServerApiStore } from "../store/server-api-store.ts";
import { TENANT } from "../tenant/tenant-ids.ts";
import { hashOfSecret, isScope, makeKey, SCOPES } from "./api-key.ts";

const WAIT_MS = 10_000;
const DAY_MS = 86_400_000;
const LIST_LIMIT = 1000;
const MAX_NAME_CHARS = 100;
const USAGE = `usage: keys-main.ts create --name NAME --scopes ${SCOPES.slice(0, 2).join(",")} [--days 90] [--tenant NAME]
       keys-main.ts list [--tenant NAME]
       keys-main.ts revoke KEY_ID
scopes: ${SCOPES.join(" ")}`;

/** What a command line asks for. */
export type KeyCommand =
  | { kind: "create"; name: string; scopes: readonly string[]; tenant: string; days: number }
  | { kind: "list"; tenant: string }
  | { kind: "revoke"; keyId: string };

/** @throws {ImError} BAD_REQUEST with the usage */
export function parseKeyCommand(args: readonly string[]): KeyCommand {
  const texts = { name: { type: "string" }, scopes: { type: "string" }, tenant: { type: "string" } } as const;
  const options = { ...texts, days: { type: "string" } } as const;
  let parsed: { values: Partial<Record<keyof typeof options, string>>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw usage(toImError(error).message);
  }
  const [command, keyId, ...more] = parsed.positionals;
  const { name = "", scopes = "", tenant = "", days = "0" } = parsed.values;
  if (!TENANT.test(tenant)) throw usage("--tenant must be 1 to 32 of a-z, 0-9 and -");
  if (command === "create" && keyId === undefined) {
    const wanted = scopes.split(",").filter((scope) => scope !== "");
    const unknown = wanted.find((scope) => !isScope(scope));
    if (unknown !== undefined) throw usage(`no such scope: ${unknown}`);
    if (wanted.length === 0) throw usage("--scopes is required");
    if (name === "" || name.length > MAX_NAME_CHARS) throw usage(`--name must have 1 to ${MAX_NAME_CHARS} characters`);
    if (!/^\d{1,4}$/.test(days)) throw usage("--days must be a number of days, 0 = for ever");
    return { kind: "create", name, scopes: wanted, tenant, days: Number(days) };
  }
  if (command === "list" && keyId === undefined) return { kind: "list", tenant };
  if (command === "revoke" && /^[a-z0-9]{12}$/.test(keyId ?? "") && more.length === 0)
    return { kind: "revoke", keyId: keyId ?? "" };
  throw usage();
}

function usage(problem = ""): ImError {
  return new ImError(ErrorCode.BAD_REQUEST, problem === "" ? USAGE : `${problem}\n${USAGE}`);
}

/** Does it; resolves with what to print. @throws {ImError} as the store does */
export async function runKeyCommand(command: KeyCommand, store: ServerApiStore, nowMs: number): Promise<object> {
  switch (command.kind) {
    case "create": {
      const { name, scopes, tenant, days } = command;
      const { keyId, secret, text: key } = makeKey();
      const expiresMs = days === 0 ? 0 : nowMs + days * DAY_MS;
      const isNew = await store.addKey({ keyId, secretHash: hashOfSecret(secret), tenant, name, scopes, expiresMs });
      if (!isNew) throw new ImError(ErrorCode.CONFLICT, "a key of this id exists: try again");
      return { key, keyId, name, scopes, tenant, expiresMs };
    }
    case "list": {
      const keys = await store.listKeys(command.tenant, { after: "", limit: LIST_LIMIT });
      return keys.map(({ secretHash: _, ...shown }) => shown);
    }
    case "revoke":
      await store.revokeKey(command.keyId);
      return { keyId: command.keyId, revoked: true };
  }
}

const schema = z.object({
  IM_POSTGRES_URL: envUrl("postgres:", "postgresql:").describe("postgres://user:password@host:5432/database"),
});

async function main(args: readonly string[]): Promise<number> {
  let command: KeyCommand;
  let url: string;
  try {
    command = parseKeyCommand(args);
    url = loadConfig(schema).IM_POSTGRES_URL;
  } catch (error) {
    console.error(toImError(error).message);
    return 2;
  }
  try {
    const store = await openPostgresStore({ url, name: "api-keys", startTimeoutMs: WAIT_MS });
    try {
      console.log(JSON.stringify(await runKeyCommand(command, store.serverApi, Date.now())));
      return 0;
    } finally {
      await store.close();
    }
  } catch (error) {
    console.error(toImError(error).message);
    return 1;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
