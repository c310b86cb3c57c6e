// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { StoredApiKey } from "../store/server-api-store.ts";
import { TENANT } from "../tenant/tenant-ids.ts";
import { hashOfSecret, isScope, parseKey, SCOPES } from "./api-key.ts";
import { BINDING } from "./client-certificate.ts";
import { type Infer, object } from "./schema.ts";
import { faultsOf, fits } from "./validate.ts";

const MAX_KEYS = 1000;
const MAX_CERTIFICATES = 16;
/** Of a key that only certificates have: nothing hashes to it. */
const NO_SECRET = new Uint8Array(0);

const KEYS = {
  type: "array",
  maxItems: MAX_KEYS,
  items: object(
    {
      key: { type: "string", maxLength: 128 },
      keyId: { type: "string", pattern: "^[a-z0-9]{12}$" },
      certificates: {
        type: "array",
        items: { type: "string", pattern: BINDING.source },
        minItems: 1,
        maxItems: MAX_CERTIFICATES,
      },
      name: { type: "string", maxLength: 100 },
      tenant: { type: "string", pattern: TENANT.source },
      scopes: { type: "array", items: { type: "string", enum: SCOPES }, minItems: 1, maxItems: SCOPES.length },
      expiresAt: { type: "string", maxLength: 40 },
    },
    ["key", "keyId", "certificates", "name", "tenant", "expiresAt"],
  ),
} as const;

/** A key of a file. */
export interface FileKey extends StoredApiKey {
  /** Client certificates that stand for it; see {@link BINDING}. */
  readonly certificates: readonly string[];
}

/** Keys of a file, by id. */
export type FileKeys = ReadonlyMap<string, FileKey>;

/**
 * Reads the keys that come with the deployment, as a mounted Secret has them: a JSON array of
 * `{"key": "imk_...", "name": "shop", "scopes": ["messages:send"], "tenant": "", "expiresAt": "2027-01-01T00:00:00Z"}`.
 * `"certificates": ["dns:shop.example"]` lets whoever shows such a client certificate use it without the key, and with `keyId` in place of
 * `key` nobody else.
 * @throws {ImError} BAD_REQUEST with what is wrong, and never with a key
 */
export function parseKeyFile(text: string): FileKeys {
  const keys = new Map<string, FileKey>();
  const bound = new Set<string>();
  for (const [at, entry] of entriesOf(text).entries()) {
    const { keyId, secretHash } = identityOf(entry, at);
    const { certificates = [] } = entry;
    if (keys.has(keyId)) throw bad(`/${at}/${entry.key === undefined ? "keyId" : "key"}: comes twice`);
    for (const [place, binding] of certificates.entries()) {
      if (bound.has(binding)) throw bad(`/${at}/certificates/${place}: comes twice, and can stand for one key only`);
      bound.add(binding);
    }
    keys.set(keyId, {
      ...{ keyId, secretHash, certificates },
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

function identityOf(
  { key, keyId, certificates }: Infer<typeof KEYS>[number],
  at: number,
): Pick<FileKey, "keyId" | "secretHash"> {
  if ((key === undefined) === (keyId === undefined))
    throw bad(`/${at}: must have either key, or keyId with certificates`);
  if (keyId !== undefined) {
    if (!certificates) throw bad(`/${at}: has a keyId and no certificates: nobody could use it`);
    return { keyId, secretHash: NO_SECRET };
  }
  const parts = parseKey(key ?? "");
  if (!parts) throw bad(`/${at}/key: is no key: make one with keys-main.ts`);
  return { keyId: parts.keyId, secretHash: hashOfSecret(parts.secret) };
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
