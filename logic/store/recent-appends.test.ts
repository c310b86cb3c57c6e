// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { message } from "./contract/fixture.ts";
import { RecentAppends } from "./recent-appends.ts";
import type { AppendedMessage, AppendInput } from "./store.ts";

const inputOf = (clientMessageId: string, content = "x"): AppendInput =>
  message({ sender: "alice", peer: "bob", clientMessageId, content: Buffer.from(content) });
const storedOf = ({ messageId, conversationId, sentAtMs }: AppendInput): AppendedMessage => ({
  ...{ kind: "stored", messageId, conversationId, convSeq: 3, sentAtMs },
  recipients: [
    { userId: "bob", inboxSeq: 9 },
    { userId: "alice", inboxSeq: 5 },
  ],
});

describe("recent appends", () => {
  it("answer a resend like the database: a duplicate, for the sender alone", () => {
    const recent = new RecentAppends();
    const input = inputOf("m");
    assert.equal(recent.find(input), undefined);
    recent.add(input, storedOf(input));
    const { messageId, conversationId, sentAtMs } = input;
    assert.deepEqual(recent.find({ ...inputOf("m"), messageId: "another" }), {
      kind: "duplicate",
      messageId,
      conversationId,
      convSeq: 3,
      sentAtMs,
      recipients: [{ userId: "alice", inboxSeq: 5 }],
    });
  });

  it("tell the sender's position in a group of many", () => {
    const recent = new RecentAppends();
    const input = inputOf("m");
    const stored = storedOf(input);
    for (let at = 0; at < 100; at++) stored.recipients.push({ userId: `member ${at}`, inboxSeq: at });
    recent.add(input, stored);
    stored.recipients.length = 0;
    assert.deepEqual(recent.find(input)?.recipients, [{ userId: "alice", inboxSeq: 5 }]);
  });

  it("know nothing of other content, other senders, and after being cleared", () => {
    const recent = new RecentAppends();
    const input = inputOf("m");
    recent.add(input, storedOf(input));
    assert.equal(recent.find(inputOf("m", "y")), undefined);
    assert.equal(recent.find({ ...input, sender: "eve" }), undefined);
    recent.clear();
    assert.equal(recent.find(input), undefined);
  });

  it("are bounded: the last 8,192 are there, what is older than twice as many is not", () => {
    const recent = new RecentAppends();
    const inputs = Array.from({ length: 20_000 }, (_, at) => inputOf(`m${at}`));
    for (const input of inputs) recent.add(input, storedOf(input));
    const found = inputs.filter((input) => recent.find(input)).length;
    assert.ok(found >= 8192 && found <= 2 * 8192, `${found} are kept`);
    assert.ok(inputs.slice(-8192).every((input) => recent.find(input)));
    assert.equal(recent.find(inputs[0] ?? assert.fail()), undefined);
  });
});
