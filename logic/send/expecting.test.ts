// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AppendInput } from "../store/store.ts";
import { expecting } from "./expecting.ts";

function expectedOf(fields: Partial<AppendInput>, isTaken = true): string[] {
  const expected: string[] = [];
  const submitted: AppendInput[] = [];
  const submit = expecting(
    (input) => {
      submitted.push(input);
      return isTaken;
    },
    (userId) => void expected.push(userId),
  );
  const input = { sender: "alice", peer: "bob", ...fields } as AppendInput;
  assert.equal(
    submit(input, () => undefined),
    isTaken,
  );
  assert.deepEqual(submitted, [input]);
  return expected;
}

describe("expecting", () => {
  it("has both users looked for, of a conversation's message the sender", () => {
    assert.deepEqual(expectedOf({}), ["alice", "bob"]);
    assert.deepEqual(expectedOf({ peer: "" }), ["alice"]);
  });

  it("has nobody looked for when the message is shed or only looked up", () => {
    assert.deepEqual(expectedOf({}, false), []);
    assert.deepEqual(expectedOf({ lookUpOnly: true }), []);
  });
});
