// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { MemoryServerApi } from "../store/memory-server-api.ts";
import { isGood, parseKey } from "./api-key.ts";
import { type KeyCommand, parseKeyCommand, runKeyCommand } from "./keys-main.ts";

const NOW_MS = 1_800_000_000_000;
const DAY_MS = 86_400_000;

describe("keys-main", () => {
  it("reads its command line", () => {
    const create: KeyCommand = { kind: "create", name: "shop", scopes: ["users:read"], tenant: "", days: 0 };
    const words = ["create", "--name", "shop", "--scopes", "users:read"];
    assert.deepEqual(parseKeyCommand(words), create);
    const more = [...words, "--tenant", "acme", "--days", "90"];
    assert.deepEqual(parseKeyCommand(more), { ...create, tenant: "acme", days: 90 });
    assert.deepEqual(parseKeyCommand(["list"]), { kind: "list", tenant: "" });
    assert.deepEqual(parseKeyCommand(["revoke", "abcdef012345"]), { kind: "revoke", keyId: "abcdef012345" });
  });

  it("says how it is used", () => {
    const named = ["create", "--name", "shop"];
    const wrong: [string[], RegExp][] = [
      [[], /usage/],
      [["make"], /usage/],
      [["create"], /--scopes is required/],
      [[...named, "--scopes", "all"], /no such scope: all/],
      [["create", "--scopes", "users:read"], /--name must have/],
      [[...named, "--scopes", "users:read", "--days", "-1"], /usage/],
      [[...named, "--scopes", "users:read", "--days", "soon"], /--days must be/],
      [["list", "--tenant", "A/B"], /--tenant must be/],
      [["list", "x"], /usage/],
      [["revoke"], /usage/],
      [["revoke", "imk_abcdef012345_secret"], /usage/],
      [["list", "--other"], /usage/],
    ];
    for (const [words, message] of wrong)
      assert.throws(() => parseKeyCommand(words), { code: ErrorCode.BAD_REQUEST, message }, words.join(" "));
  });

  it("makes a key that is good, shows it once, and revokes it", async () => {
    const store = new MemoryServerApi(() => NOW_MS);
    const made = await runKeyCommand(
      parseKeyCommand(["create", "--name", "a", "--scopes", "users:read", "--days", "2"]),
      store,
      NOW_MS,
    );
    const { key, keyId, expiresMs } = made as { key: string; keyId: string; expiresMs: number };
    const parts = parseKey(key);
    assert.deepEqual([parts?.keyId, expiresMs], [keyId, NOW_MS + 2 * DAY_MS]);
    const secret = parts?.secret ?? "";
    assert.ok(isGood(await store.findKey(keyId), secret, NOW_MS));
    const listed = JSON.stringify(await runKeyCommand({ kind: "list", tenant: "" }, store, NOW_MS));
    assert.ok(listed.includes(keyId) && !listed.includes("secretHash") && !listed.includes(secret));
    await runKeyCommand({ kind: "revoke", keyId }, store, NOW_MS);
    assert.equal(isGood(await store.findKey(keyId), secret, NOW_MS), false);
  });
});
