// SPDX-License-Identifier: Apache-2.0
import { readFile } from "node:fs/promises";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { PLAIN_TOKENS, parseSealKeys, type TokenSeal, tokenSeal } from "./store/token-seal.ts";

/**
 * How push tokens are stored: sealed by the keys in the file, or as they are where none is configured.
 * @throws {ImError} BAD_REQUEST when it cannot be read or holds no keys, with what to do
 */
export async function openTokenSeal(path: string | undefined): Promise<TokenSeal> {
  return path === undefined ? PLAIN_TOKENS : tokenSeal(parseSealKeys(await read(path), path));
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ImError(ErrorCode.BAD_REQUEST, `IM_PUSH_TOKEN_KEYS_FILE cannot be read: ${why}`, { cause: error });
  }
}
