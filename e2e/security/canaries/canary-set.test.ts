// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { CanarySet, describeHits, forgedLines } from "./canary-set.ts";

describe("CanarySet", () => {
  const set = new CanarySet();
  const word = set.word("message body");
  const phone = set.phone("phone number");
  const token = set.hex("push token");
  const secret = set.add("password", 'pass"word/of+the=database');

  it("finds nothing where there is nothing", () => {
    assert.deepEqual(set.search("a log", '{"level":"info","component":"entry","msg":"fine"}'), []);
    assert.deepEqual([set.size, set.sorts.password], [4, 1]);
  });

  it("finds a planted leak, however it is written", () => {
    const bytes = Buffer.from(`<<${word}>>`);
    const written: Record<string, string> = {
      plain: `{"body":"${word}"}`,
      buffer: inspect(bytes, { breakLength: 1000, compact: true }),
      json: JSON.stringify(bytes),
      hex: bytes.toString("hex"),
      upper: bytes.toString("hex").toUpperCase(),
      url: encodeURIComponent(secret),
      quoted: JSON.stringify({ url: secret }),
      phone: `to=${encodeURIComponent(phone)}`,
      token: `/3/device/${token}`,
    };
    for (const [form, text] of Object.entries(written)) assert.equal(set.search("a log", text).length, 1, form);
    for (let offset = 0; offset < 6; offset++) {
      const text = Buffer.from(`${"x".repeat(offset)}${secret}${"y".repeat(offset)}`);
      for (const encoding of ["base64", "base64url"] as const)
        assert.equal(set.search("a log", text.toString(encoding)).length, 1, `${encoding} after ${offset}`);
    }
  });

  it("says where, and looks for some sorts only when told so", () => {
    const text = `${word} ${phone}`;
    assert.deepEqual(
      set.search("Redis", text, (sort) => sort === "phone number").map(({ sort, place }) => [sort, place]),
      [["phone number", "Redis"]],
    );
    assert.match(
      describeHits(set.search("Redis", text)),
      /^Redis: a message body \(plain\): "cnry.*\nRedis: a phone number/,
    );
  });

  it("knows a key by its lines", () => {
    const lines = Array.from({ length: 4 }, (_, at) => String(at).repeat(64));
    const pem = `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
    const keys = new CanarySet();
    keys.addKey("key", pem);
    assert.equal(keys.search("a log", JSON.stringify({ pem })).length, 1);
  });
});

describe("forgedLines", () => {
  const line = (fields: object): string => JSON.stringify({ level: "info", component: "entry", ...fields });

  it("takes one JSON object a line, whatever is in its texts", () => {
    assert.deepEqual(forgedLines(`${line({ user: 'a\n{"level":"error"}\u001b[31m' })}\n${line({})}\n`), []);
  });

  it("shows what is none", () => {
    const forged = ["plain text", '{"level":"info"', '"text"', "{}", line({ user: "\u009b31m" })];
    for (const one of forged) assert.deepEqual(forgedLines(`${line({})}\n${one}\n`), [one]);
  });
});
