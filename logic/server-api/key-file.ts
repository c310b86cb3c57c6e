// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { StoredApiKey } from "../store/server-api-store.ts";
import { TENANT } from "../tenant/tenant-ids.ts";
import { hashOfSecret, isScope, parseKey, SCOPES } from "./api-key.ts";
import { type Infer, object } from "./schema.ts";
import { faultsOf, fits } from "./validate.ts";

const MAX_KEYS = 1000;

const KEYS = {
  type: "array",
  maxItems: MAX_KEYS,
  items: object(
    {
      key: { type: "string", maxLength: 128 },
      name: { type: "string", maxLength: 100 },
      tenant: { type: "string", pattern: TENANT.source },
      scopes: { type: "array", items: { type: "string", enum: SCOPES }, minItems: 1, maxItems: SCOPES.length },
      expiresAt: { type: "string", maxLength: 40 },
    },
    ["name", "tenant", "expiresAt"],
  ),
} as const;

/** Keys of a file, by id. */
export type FileKeys = ReadonlyMap<string, StoredApiKey>;

/**
 * Reads the keys that come with the deployment, as a mounted Secret has them: a JSON array of
 * `{"key": "imk_...", "name": "shop", "scopes": ["messages:send"], "tenant": "", "expiresAt": "2027-01-01T00:00:00Z"}`.
 * @throws {ImError} BAD_REQUEST with what is wrong, and never with a key
 */
export function parseKeyFile(text: string): FileKeys {
  const keys = new Map<string, StoredApiKey>();
  for (const [at, entry] of entriesOf(text).entries()) {
    const parts = parseKey(entry.key);
    if (!parts) throw bad(`/${at}/key: is no key: make one with keys-main.ts`);
    if (keys.has(parts.keyId)) throw bad(`/${at}/key: comes twice`);
    keys.set(parts.keyId, {
      keyId: parts.keyId,
      secretHash: hashOfSecret(parts.secret),
      tenant: entry.tenant ?? "",
      name: entry.name ?? "",
      scopes: entry.scopes.filter(isScope),
      expiresMs: timeOf(entry.expiresAt, at),
      createdMs: 0,
      revokedMs: 0,
    });
  }
  return keys;
}

function entriesOf(text: string): Infer<typeof KEYS> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the file, and so its secrets.
    throw bad("is not JSON");
  }
  if (fits(KEYS, value)) return value;
  const [fault] = faultsOf(KEYS, value);
  throw bad(`${fault?.path}: ${fault?.message}`);
}

function timeOf(expiresAt: string | undefined, at: number): number {
  if (expiresAt === undefined) return 0;
  const expiresMs = Date.parse(expiresAt);
  if (Number.isFinite(expiresMs) && expiresMs > 0) return expiresMs;
  throw bad(`/${at}/expiresAt: is no time such as 2027-01-01T00:00:00Z`);
}

function bad(problem: string): ImError {
  return new ImError(ErrorCode.BAD_REQUEST, `the file of API keys (IM_API_KEYS_FILE) ${problem}`);
}
