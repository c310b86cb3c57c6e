// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { openTokenSeal } from "./push-token-keys.ts";
import { PLAIN_TOKENS, tokenSeal } from "./store/token-seal.ts";

const folder = mkdtempSync(join(tmpdir(), "im-push-keys-"));
after(() => rmSync(folder, { recursive: true }));

it("seals by the keys of the file, or not at all", async () => {
  const path = join(folder, "keys");
  const key = Buffer.alloc(32, 7);
  writeFileSync(path, `${key.toString("base64")}\n`);
  const seal = await openTokenSeal(path);
  assert.equal(tokenSeal([key]).open(seal.seal("token")), "token");
  assert.equal(await openTokenSeal(undefined), PLAIN_TOKENS);
});

it("says which file cannot be read", async () => {
  const path = join(folder, "none");
  await assert.rejects(openTokenSeal(path), { code: ErrorCode.BAD_REQUEST, message: /IM_PUSH_TOKEN_KEYS_FILE.*none/ });
});
