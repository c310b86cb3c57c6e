// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ImError } from "#lib/errors.ts";
import type { StoredApiKey } from "../store/server-api-store.ts";
import { hashOfSecret, isGood, makeKey, parseKey } from "./api-key.ts";
import { parseKeyFile } from "./key-file.ts";

const NOW_MS = 1_800_000_000_000;

function storedKey(secret: string, fields: Partial<StoredApiKey> = {}): StoredApiKey {
  const { keyId } = makeKey();
  return {
    ...{ keyId, secretHash: hashOfSecret(secret), tenant: "", name: "shop", scopes: [] },
    ...{ expiresMs: 0, createdMs: 0, revokedMs: 0 },
    ...fields,
  };
}

describe("an API key", () => {
  it("has an id, and a secret of 256 bits that no other has", () => {
    const keys = Array.from({ length: 100 }, makeKey);
    for (const { keyId, secret, text } of keys) {
      assert.deepEqual(parseKey(text), { keyId, secret });
      assert.equal(Buffer.from(secret, "base64url").length, 32);
    }
    assert.equal(new Set(keys.map(({ text }) => text)).size, 100);
  });

  it("is nothing else", () => {
    const { text } = makeKey();
    for (const other of [
      "",
      "imk_",
      text.slice(1),
      `${text}x`,
      text.slice(0, -1),
      text.toUpperCase(),
      `${text}\n`,
      ` ${text}`,
    ])
      assert.equal(parseKey(other), undefined, JSON.stringify(other));
  });

  it("is good with its secret until it expires or is revoked", () => {
    const { secret } = makeKey();
    assert.equal(isGood(storedKey(secret), secret, NOW_MS), true);
    assert.equal(isGood(storedKey(secret, { expiresMs: NOW_MS + 1 }), secret, NOW_MS), true);
    assert.equal(isGood(storedKey(secret, { expiresMs: NOW_MS }), secret, NOW_MS), false);
    assert.equal(isGood(storedKey(secret, { revokedMs: 1 }), secret, NOW_MS), false);
    assert.equal(isGood(storedKey(secret), makeKey().secret, NOW_MS), false);
    assert.equal(isGood(undefined, secret, NOW_MS), false);
    assert.equal(isGood(storedKey(secret, { secretHash: new Uint8Array() }), secret, NOW_MS), false);
  });
});

describe("the file of API keys", () => {
  const { keyId, secret, text } = makeKey();
  const entry = { key: text, name: "shop", scopes: ["messages:send"] };

  it("gives each key by its id, without its secret", () => {
    const keys = parseKeyFile(JSON.stringify([{ ...entry, tenant: "acme", expiresAt: "2027-01-01T00:00:00Z" }]));
    const key = keys.get(keyId);
    assert.deepEqual(
      { ...key, secretHash: undefined },
      {
        ...{ keyId, secretHash: undefined, tenant: "acme", name: "shop", scopes: ["messages:send"] },
        ...{ expiresMs: Date.UTC(2027, 0, 1), createdMs: 0, revokedMs: 0, certificates: [] },
      },
    );
    assert.ok(isGood(key, secret, 0));
    assert.ok(!JSON.stringify([...keys]).includes(secret));
  });

  it("takes no tenant for the default one, and no end for never", () => {
    const key = parseKeyFile(JSON.stringify([entry])).get(keyId);
    assert.deepEqual([key?.tenant, key?.expiresMs], ["", 0]);
    assert.equal(parseKeyFile("[]").size, 0);
  });

  it("lets certificates stand for a key, or be the only way to one", () => {
    const certificates = ["dns:shop.example", "uri:spiffe://shop/api", `sha256:${"0a".repeat(32)}`];
    assert.deepEqual(parseKeyFile(JSON.stringify([{ ...entry, certificates }])).get(keyId)?.certificates, certificates);
    const alone = { keyId, certificates, scopes: ["messages:send"] };
    const key = parseKeyFile(JSON.stringify([alone])).get(keyId);
    assert.deepEqual([key?.keyId, key?.certificates], [keyId, certificates]);
    assert.ok(!isGood(key, secret, 0) && !isGood(key, "", 0), "it has no secret");
  });

  it("is refused with the place of the fault, and without a secret", () => {
    const cases: [unknown, RegExp][] = [
      ["{", /not JSON/],
      [{}, /must be an array/],
      [[{ ...entry, key: "imk_x" }], /\/0\/key: is no key/],
      [[{ ...entry, key: `${text}x` }], /\/0\/key: is no key/],
      [[entry, entry], /\/1\/key: comes twice/],
      [[{ ...entry, scopes: ["all"] }], /\/0\/scopes\/0: must be one of messages:send/],
      [[{ ...entry, scopes: [] }], /\/0\/scopes: must have/],
      [[{ key: text }], /\/0\/scopes: is required/],
      [[{ ...entry, tenant: "A" }], /\/0\/tenant: must match/],
      [[{ ...entry, expiresAt: "soon" }], /\/0\/expiresAt: is no time/],
      [[{ ...entry, keyId }], /\/0: must have either key, or keyId/],
      [[{ name: "shop", scopes: ["messages:send"] }], /\/0: must have either key, or keyId/],
      [[{ ...entry, key: undefined, keyId }], /\/0: has a keyId and no certificates/],
      [[{ ...entry, certificates: ["dns:*.shop"] }], /\/0\/certificates\/0: must match/],
      [
        [
          { ...entry, certificates: ["dns:a"] },
          { ...entry, key: makeKey().text, certificates: ["dns:b", "dns:a"] },
        ],
        /\/1\/certificates\/1: comes twice/,
      ],
      [[{ ...entry, secret }], /\/0\/secret: is not known/],
    ];
    for (const [value, message] of cases) {
      const content = typeof value === "string" ? value : JSON.stringify(value);
      assert.throws(
        () => parseKeyFile(content),
        (error) => error instanceof ImError && message.test(error.message) && !error.message.includes(secret),
        content,
      );
    }
  });
});
