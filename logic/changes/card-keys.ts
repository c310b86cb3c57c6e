// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";

/** A secret that the shop and this cluster share. */
export interface CardKey {
  /** `kid` in the header of what it signed. */
  readonly id: string;
  readonly secret: Buffer;
}

const KEY_ID = /^[A-Za-z0-9_.-]{1,64}$/;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
const MIN_BYTES = 32;
const MAX_KEYS = 16;

/**
 * The content of a key file: `ID SECRET` a line, the secret in base64. The first key signs, all are taken: a new key is put in
 * front, the old one stays until nothing signed by it is to be sent any more.
 * @throws {ImError} BAD_REQUEST that says what to correct, without the content
 */
export function parseCardKeys(content: string): CardKey[] {
  const lines = content.split("\n").filter((line) => line.trim() !== "");
  const fail = (problem: string): never => {
    const remedy = "give one key a line: its id, a space, and at least 32 bytes in base64";
    throw new ImError(ErrorCode.BAD_REQUEST, `the file of card keys: ${problem}; ${remedy}`);
  };
  if (lines.length === 0) fail("there is no key");
  if (lines.length > MAX_KEYS) fail(`there are over ${MAX_KEYS} keys`);
  const keys = lines.map((line, at) => {
    const [id = "", text = "", ...rest] = line.trim().split(/\s+/);
    const secret = Buffer.from(text, "base64");
    const isGood = KEY_ID.test(id) && BASE64.test(text) && secret.length >= MIN_BYTES && rest.length === 0;
    return isGood ? { id, secret } : fail(`line ${at + 1} is no key`);
  });
  if (new Set(keys.map(({ id }) => id)).size < keys.length) fail("two keys have one id");
  return keys;
}
