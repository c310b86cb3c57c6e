// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { ErrorCode, ImError } from "#lib/errors.ts";

/** How push tokens are written to the database and read back. */
export interface TokenSeal {
  /** "" stays "". */
  seal(token: string): string;
  /** "" for a token that no key here opens: the device names it again at its next start. One stored plain is returned as it is. */
  open(stored: string): string;
}

/** Without a key: tokens are stored as they are. */
export const PLAIN_TOKENS: TokenSeal = { seal: (token) => token, open: (stored) => stored };

const VERSION = "s1";
const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID_BYTES = 4;
const MAX_KEYS = 16;

interface SealKey {
  id: string;
  secret: Buffer;
}

/**
 * AES-256-GCM with a random nonce (NIST SP 800-38D: 2^32 tokens for one key) and the token's SHA-256, which SQL compares, as
 * authenticated data. The first key seals, all open: a new key is put in front, the old one stays until no token needs it.
 *
 * @param keys of 32 bytes each, at least one
 */
export function tokenSeal(keys: readonly Buffer[]): TokenSeal {
  const all = keys.map(sealKeyOf);
  const [first] = all;
  if (!first) throw new RangeError("a seal needs a key");
  return {
    seal: (token) => (token === "" ? "" : sealWith(first, token)),
    open: (stored) => (stored.startsWith(`${VERSION}.`) ? openWith(all, stored) : stored),
  };
}

function sealKeyOf(key: Buffer): SealKey {
  const secret = Buffer.from(hkdfSync("sha256", key, "", "imcluster push token", KEY_BYTES));
  return {
    id: createHmac("sha256", secret).update("id").digest().subarray(0, KEY_ID_BYTES).toString("base64url"),
    secret,
  };
}

/** As `push_token_digest` in SQL. */
function digestOf(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}

function sealWith({ id, secret }: SealKey, token: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const digest = digestOf(token);
  const cipher = createCipheriv(CIPHER, secret, nonce).setAAD(Buffer.from(digest));
  const sealed = Buffer.concat([nonce, cipher.update(token, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return [VERSION, digest, id, sealed.toString("base64url")].join(".");
}

function openWith(keys: readonly SealKey[], stored: string): string {
  const [, digest = "", id, text = ""] = stored.split(".");
  const key = keys.find((one) => one.id === id);
  const sealed = Buffer.from(text, "base64url");
  if (!key || sealed.length < NONCE_BYTES + TAG_BYTES) return "";
  const decipher = createDecipheriv(CIPHER, key.secret, sealed.subarray(0, NONCE_BYTES))
    .setAAD(Buffer.from(digest))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString(
      "utf8",
    );
  } catch {
    // Changed by somebody, or of a key with the same id: as good as none.
    return "";
  }
}

/**
 * The content of a key file: one key of 32 bytes in base64 a line, the newest first.
 * @throws {ImError} BAD_REQUEST that says what to correct, without the content
 */
export function parseSealKeys(content: string, file: string): Buffer[] {
  const lines = content.split("\n").filter((line) => line.trim() !== "");
  const fail = (problem: string): never => {
    const remedy = "give one key a line, 32 bytes in base64, such as `openssl rand -base64 32` prints";
    throw new ImError(ErrorCode.BAD_REQUEST, `${file}: ${problem}; ${remedy}`);
  };
  if (lines.length === 0) fail("there is no key");
  if (lines.length > MAX_KEYS) fail(`there are over ${MAX_KEYS} keys`);
  return lines.map((line, at) => {
    const key = Buffer.from(line.trim(), "base64");
    const isBase64 = /^[A-Za-z0-9+/_-]+={0,2}$/.test(line.trim());
    return isBase64 && key.length === KEY_BYTES ? key : fail(`line ${at + 1} is no key of ${KEY_BYTES} bytes`);
  });
}
