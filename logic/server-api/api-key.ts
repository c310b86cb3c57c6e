// SPDX-License-Identifier: Apache-2.0
import { hash, randomBytes, randomInt, timingSafeEqual } from "node:crypto";
import type { StoredApiKey } from "../store/server-api-store.ts";

/** What a key may be used for; each operation needs one of them. */
export const SCOPES = [
  "messages:send",
  "messages:read",
  "cards:send",
  "cards:update",
  "groups:read",
  "groups:manage",
  "broadcasts:read",
  "broadcasts:manage",
  "users:read",
  "users:manage",
  "users:erase",
  "holds:manage",
  "export:read",
  "reports:read",
  "reports:manage",
  "orders:manage",
  "dead-letters:read",
  "dead-letters:replay",
  "hooks:read",
  "hooks:replay",
  "audit:read",
  "fleet:read",
] as const;
export type Scope = (typeof SCOPES)[number];

export function isScope(text: string): text is Scope {
  return (SCOPES as readonly string[]).includes(text);
}

const KEY = /^imk_([a-z0-9]{12})_([A-Za-z0-9_-]{43})$/;
const ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";
const ID_CHARS = 12;
const SECRET_BYTES = 32;

/** A key in its two parts: the id may be shown and logged, the secret never. */
export interface KeyParts {
  readonly keyId: string;
  readonly secret: string;
}

/** Undefined: this is no key. */
export function parseKey(text: string): KeyParts | undefined {
  const [, keyId, secret] = KEY.exec(text) ?? [];
  return keyId === undefined || secret === undefined ? undefined : { keyId, secret };
}

/** A new key; 256 bits of its secret are random, so that a plain hash protects it as well as a slow one would. */
export function makeKey(): KeyParts & { text: string } {
  let keyId = "";
  while (keyId.length < ID_CHARS) keyId += ID_LETTERS[randomInt(ID_LETTERS.length)];
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  return { keyId, secret, text: `imk_${keyId}_${secret}` };
}

/** What is kept of a secret: its SHA-256. */
export function hashOfSecret(secret: string): Buffer {
  return hash("sha256", secret, "buffer");
}

/** Nobody has its secret. */
const NO_HASH = Buffer.alloc(32);

/** Neither revoked nor over. */
export function isLive(key: StoredApiKey, nowMs: number): boolean {
  return key.revokedMs === 0 && (key.expiresMs === 0 || key.expiresMs > nowMs);
}

/** Takes the same time for a key that is not there, one that is over, and a wrong secret. */
export function isGood(key: StoredApiKey | undefined, secret: string, nowMs: number): key is StoredApiKey {
  const known = key && key.secretHash.length === NO_HASH.length ? key.secretHash : NO_HASH;
  const isSame = timingSafeEqual(hashOfSecret(secret), known);
  return isSame && key !== undefined && isLive(key, nowMs);
}
