// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { echo, JsonFaults, JsonMessage, readBytes } from "./json-body.ts";

const MAX_SAFE = Number.MAX_SAFE_INTEGER;
const U32 = 2 ** 32;

/** What is wrong with one field, or undefined. */
function faultOf(message: string, field: string, value: unknown): string | undefined {
  const faults = new JsonFaults();
  JsonMessage.named(`im.client.v1.${message}`).encode({ [field]: value }, "body", faults);
  return faults.first;
}

const ROWS: [what: string, message: string, field: string, taken: unknown[], refused: unknown[]][] = [
  ["uint32", "Sync", "limit", [0, -0, 1, U32 - 1], [-1, U32, 0.5, "1", true, null, [], {}, Number.NaN, 1e300]],
  [
    "uint64",
    "Sync",
    "cursor",
    [0, 1, U32, MAX_SAFE, "0", "1", String(U32), String(MAX_SAFE)],
    [-1, MAX_SAFE + 1, "-1", "9007199254740992", "9".repeat(17), "01", "+1", "1.0", "1e3", "0x1", " 1", "", null, 0.1],
  ],
  [
    "int64",
    "Hello",
    "clientTimeMs",
    [0, -1, MAX_SAFE, -MAX_SAFE, "-1", `-${MAX_SAFE}`],
    [MAX_SAFE + 1, -MAX_SAFE - 1, "-0", "--1", "-01", "-9007199254740992", "1n", null],
  ],
  ["bool", "Sync", "canSnapshot", [true, false], [0, 1, "true", null, []]],
  ["string", "Sync", "inboxEpoch", ["", "e", "\u{1f600}", "\u0000"], [1, null, [], "\ud83d", "a\ude00"]],
  [
    "bytes",
    "Send",
    "content",
    ["", "AA==", "AAA=", "AAAA", "+/+/"],
    ["A", "AA", "AAA", "AB==", "AAB=", "AAAA=", "-_-_", "AA ==", "AA==\n", "====", "\u00e9AAA", 1, null, [0]],
  ],
  ["strings", "Hello", "caps", [[], ["a"], ["", "b"]], ["a", null, {}, [1], [null], [["a"]]]],
  ["a message", "Welcome", "limits", [null, {}, { maxFrameBytes: 1 }], [[], 1, "", { max: 1 }, { maxFrameBytes: -1 }]],
  ["messages", "Push", "events", [[], [{}], [{ inboxSeq: "1" }]], [{}, null, [null], [1], [{ x: 1 }]]],
];

describe("fields in JSON", () => {
  for (const [what, message, field, taken, refused] of ROWS) {
    it(what, () => {
      for (const value of taken) assert.equal(faultOf(message, field, value), undefined, JSON.stringify(value));
      for (const value of refused)
        assert.match(faultOf(message, field, value) ?? "", /^body\.\w+/, JSON.stringify(value));
    });
  }

  it("are all shown, and defaults take no bytes", () => {
    const message = JsonMessage.named("im.client.v1.Sync");
    const zeros = { inboxEpoch: "", cursor: "0", limit: 0, limitBytes: 0, canSnapshot: false };
    assert.deepEqual(message.decode(Buffer.alloc(0)), zeros);
    assert.equal(message.encode(zeros, "body", new JsonFaults()).length, 0);
  });

  it("keep 64 bits where a server writes more than a number holds", () => {
    const max = Buffer.from("10ffffffffffffffffff01", "hex");
    assert.equal(JsonMessage.named("im.client.v1.Sync").decode(max).cursor, "18446744073709551615");
  });

  it("name the first thing that is wrong, and where", () => {
    const faults = new JsonFaults();
    const body = { events: [{ inboxSeq: 1 }, { inboxSeq: "x", convSeq: "y" }] };
    JsonMessage.named("im.client.v1.Push").encode(body, "body", faults);
    assert.match(faults.first ?? "", /^body\.events\[1\]\.inboxSeq must be an integer/);
    assert.equal(readBytes("?", "later", faults), undefined);
    assert.match(faults.first ?? "", /^body\.events\[1\]/);
  });

  it("echo names so that they fit into a reason", () => {
    assert.equal(echo("cursor"), '"cursor"');
    assert.equal(echo('a"\\\u00e9\n'), '"a????"');
    assert.equal(echo("x".repeat(25)), `"${"x".repeat(24)}..."`);
  });
});
