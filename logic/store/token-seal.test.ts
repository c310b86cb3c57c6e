// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { PLAIN_TOKENS, parseSealKeys, tokenSeal } from "./token-seal.ts";

const [old, current] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

describe("tokenSeal", () => {
  it("opens what it sealed, whatever it is, and shows nothing of it", () => {
    const seal = tokenSeal([current]);
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 200 }), (token) => {
        const valid = token.toWellFormed();
        const stored = seal.seal(valid);
        assert.equal(seal.open(stored), valid);
        assert.match(stored, /^s1\.[\w-]{43}\.[\w-]{6}\.[\w-]+$/);
        if (valid.length > 8) assert.ok(!stored.includes(valid));
      }),
    );
  });

  it("seals the same token differently each time, with the same digest", () => {
    const seal = tokenSeal([current]);
    const [first, second] = [seal.seal("token"), seal.seal("token")];
    assert.notEqual(first, second);
    assert.equal(first.split(".")[1], second.split(".")[1]);
    assert.equal(tokenSeal([old]).seal("token").split(".")[1], first.split(".")[1], "whatever the key");
  });

  it("keeps that there is no token, and reads one that was stored plain", () => {
    const seal = tokenSeal([current]);
    assert.deepEqual([seal.seal(""), seal.open(""), seal.open("stored before")], ["", "", "stored before"]);
    assert.deepEqual([PLAIN_TOKENS.seal("t"), PLAIN_TOKENS.open("t")], ["t", "t"]);
  });

  it("opens by an old key, seals by the newest", () => {
    const stored = tokenSeal([old]).seal("token");
    const rotated = tokenSeal([current, old]);
    assert.equal(rotated.open(stored), "token");
    assert.equal(tokenSeal([current]).open(rotated.seal("token")), "token");
  });

  it("takes what it cannot open for no token", () => {
    const stored = tokenSeal([old]).seal("token");
    assert.equal(tokenSeal([current]).open(stored), "", "another key");
    const [version, digest, id, sealed = ""] = stored.split(".");
    const spoilt = [
      [version, digest, id, `${sealed.slice(0, -2)}AA`],
      [version, digest?.replace(/.$/, "_"), id, sealed],
      [version, digest, id, "AAAA"],
      [version, digest, id],
      [version],
      [version, "", "", ""],
    ];
    for (const parts of spoilt) assert.equal(tokenSeal([old]).open(`${parts.join(".")}.`), "", parts.join("."));
  });

  it("needs a key", () => {
    assert.throws(() => tokenSeal([]), RangeError);
  });
});

describe("parseSealKeys", () => {
  const key = randomBytes(32);

  it("reads a key a line", () => {
    assert.deepEqual(parseSealKeys(`${key.toString("base64")}\n${old.toString("base64")}\n\n`, "f"), [key, old]);
    assert.deepEqual(parseSealKeys(key.toString("base64url"), "f"), [key]);
  });

  const bad: [string, RegExp][] = [
    ["", /there is no key/],
    ["\n \n", /there is no key/],
    [randomBytes(31).toString("base64"), /line 1 is no key of 32 bytes/],
    [randomBytes(33).toString("base64"), /line 1 is no key of 32 bytes/],
    [`${key.toString("base64")}\nsecret words, not a key`, /line 2 is no key of 32 bytes/],
    [key.toString("hex"), /line 1 is no key of 32 bytes/],
    [`${key.toString("base64")}\n`.repeat(17), /over 16 keys/],
  ];
  for (const [content, why] of bad)
    it(`refuses ${why.source}: ${content.length} characters`, () => {
      assert.throws(
        () => parseSealKeys(content, "/keys"),
        (error) => {
          assert.ok(error instanceof ImError && error.code === ErrorCode.BAD_REQUEST);
          assert.match(error.message, why);
          assert.match(error.message, /^\/keys: .*openssl rand -base64 32/);
          assert.ok(content.trim() === "" || !error.message.includes(content.slice(0, 12)), "no key in a message");
          return true;
        },
      );
    });
});
