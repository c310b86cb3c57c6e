// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { MAX_CLOSE_RULES, MAX_DOCUMENT_BYTES, readRules } from "./rules.ts";

const CONTACT = { id: "contact", kind: "contact", verdict: "bounce", explanation: "keep it here", finds: ["phone"] };
const WORDS = { id: "words", kind: "words", verdict: "flag", words: ["枪支"] };

function problemOf(rules: unknown, more: object = {}): string {
  try {
    readRules(typeof rules === "string" ? rules : JSON.stringify({ version: 1, rules, ...more }));
  } catch (error) {
    assert.ok(error instanceof ImError && error.code === ErrorCode.BAD_REQUEST, String(error));
    return error.message;
  }
  return "";
}

describe("reading rules", () => {
  it("takes every kind of rule, and fills in what was left out", () => {
    const rules = [
      { ...CONTACT, window: { messages: 5, seconds: 120 }, unlessOrder: true },
      { ...WORDS, onFault: "closed" },
      { id: "bad-links", kind: "links", verdict: "block", match: "listed", domains: ["bad.example.com"] },
      { id: "other-links", kind: "links", verdict: "flag", match: "unlisted", domains: [] },
      { id: "pace", kind: "rate", verdict: "bounce", explanation: "slow down", per: "sender", max: 30, seconds: 60 },
      { id: "stranger", kind: "stranger", verdict: "bounce", explanation: "wait for an answer", maxUnanswered: 3 },
      { id: "copies", kind: "copies", verdict: "shadow", maxPeers: 10, seconds: 600 },
    ];
    const document = readRules(JSON.stringify({ version: 1, rules }));
    assert.deepEqual(document.contentTypes, ["text/plain"]);
    const [contact, words, , , , , copies] = document.rules;
    assert.deepEqual([contact?.unlessOrder, contact?.onFault], [true, "open"]);
    assert.deepEqual([words?.unlessOrder, words?.onFault], [false, "closed"]);
    assert.ok(copies?.kind === "copies" && copies.minChars === 8);
  });

  it("says where a problem is and what to do", () => {
    const cases: readonly [unknown, RegExp][] = [
      ["{", /is not JSON .*: correct it there/],
      [[{ ...CONTACT, extra: 1 }], /rules\[0\] has unknown fields extra: remove them/],
      [[{ ...CONTACT, kind: "spam" }], /rules\[0\]\.kind is no kind of rule: use contact, words, links/],
      [[{ ...CONTACT, id: "Not ok" }], /rules\[0\]\.id has a form that is not allowed: use 1 to 63/],
      [[{ ...CONTACT, finds: [] }], /rules\[0\]\.finds is out of bounds: .*change it/],
      [[{ ...CONTACT, finds: ["fax"] }], /rules\[0\]\.finds\[0\]: .*"phone"\|"wechat".*: correct it/],
      [[{ ...CONTACT, verdict: "allow" }], /rules\[0\]\.verdict: .*"flag".*: correct it/],
      [[{ ...CONTACT, window: { messages: 1, seconds: 5 } }], /rules\[0\]\.window\.messages is out of bounds/],
      [[{ ...CONTACT, explanation: undefined }], /rules\[0\]\.explanation is missing: say/],
      [[{ ...WORDS, explanation: "no" }], /rules\[0\]\.explanation is never shown with verdict flag: remove it/],
      [[CONTACT, { ...WORDS, id: "contact" }], /rules\[1\]\.id is that of rules\[0\]: choose another/],
      [[{ ...WORDS, words: ["ok", "\u200b!"] }], /rules\[0\]\.words\[1\] has neither letters nor digits: remove it/],
      [[{ id: "l", kind: "links", verdict: "flag", match: "listed", domains: [] }], /rules\[0\]\.domains is empty/],
      [
        [{ id: "l", kind: "links", verdict: "flag", match: "listed", domains: ["HTTP://x"] }],
        /rules\[0\]\.domains\[0\] has a form .*example\.com/,
      ],
      [[{ ...WORDS, words: [7] }], /rules\[0\]\.words\[0\]: .*string.*: correct it/],
      [7, /rules: .*array.*: correct it/],
    ];
    for (const [rules, problem] of cases) assert.match(problemOf(rules), problem);
    assert.match(problemOf([], { version: 2 }), /version: .*1.*: correct it/);
    assert.match(problemOf([], { mode: "strict" }), /the document has unknown fields mode/);
    assert.match(problemOf([], { contentTypes: [] }), /contentTypes is out of bounds/);
  });

  it("lists several problems, ten at most", () => {
    const many = Array.from({ length: 14 }, (_, at) => ({ ...CONTACT, id: `c${at}`, finds: [] }));
    const problem = problemOf(many);
    assert.equal(problem.split("; ").length, 11);
    assert.match(problem, /and 4 more problems$/);
  });

  it("bounds what a document may cost", () => {
    const close = Array.from({ length: MAX_CLOSE_RULES + 1 }, (_, at) => ({ ...CONTACT, id: `c${at}` }));
    assert.match(problemOf(close), /rules holds 21 of kind contact: keep to 20/);
    const chars = Array.from({ length: 9 }, (_, at) => ({
      ...WORDS,
      id: `w${at}`,
      words: Array.from({ length: 500 }, (_, word) => `${at}-${word}-`.padEnd(99, "x")),
    }));
    assert.match(problemOf(chars), /characters of words: keep below/);
    assert.match(problemOf(`"${"x".repeat(MAX_DOCUMENT_BYTES)}"`), /larger than 1000000 bytes/);
    assert.equal(problemOf(Array.from({ length: 2000 }, (_, at) => ({ ...WORDS, id: `w${at}` }))), "");
    assert.match(
      problemOf(Array.from({ length: 2001 }, (_, at) => ({ ...WORDS, id: `w${at}` }))),
      /rules is out of bounds/,
    );
  });
});
