// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
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

  it("tell apart what differs only in where the sender's name ends", () => {
    const recent = new RecentAppends();
    const input = { ...inputOf("bc"), sender: "a" };
    recent.add(input, { ...storedOf(input), recipients: [{ userId: "a", inboxSeq: 1 }] });
    assert.equal(recent.find({ ...input, sender: "ab", clientMessageId: "c" }), undefined);
    assert.equal(recent.find(input)?.recipients[0]?.inboxSeq, 1);
  });

  it("keep the newest of what was committed twice", () => {
    const recent = new RecentAppends();
    const input = inputOf("m");
    recent.add(input, storedOf(input));
    recent.add(input, { ...storedOf(input), convSeq: 4 });
    assert.equal(recent.find(input)?.convSeq, 4);
  });

  it("know the last 10,000, and forget the oldest first", () => {
    const recent = new RecentAppends();
    const first = inputOf("m0");
    const inputs = Array.from({ length: 60_000 }, (_, at) => ({ ...first, clientMessageId: `m${at}`, sentAtMs: at }));
    for (const input of inputs) recent.add(input, storedOf(input));
    const isKnown = (input: AppendInput): boolean => recent.find(input)?.sentAtMs === input.sentAtMs;
    const lost = inputs.slice(-10_000).filter((input) => !isKnown(input)).length;
    assert.ok(lost <= 10, `${lost} of the last 10,000 are unknown`);
    assert.ok(inputs.filter(isKnown).length <= 32_768);
    const old = inputs.slice(0, 5_000).filter(isKnown).length;
    assert.ok(old < 250, `${old} of the first 5,000 are known`);
  });

  it("answer like a map as long as nothing has to go", () => {
    const entry = fc.record(
      {
        sender: fc.constantFrom("alice", "bob", ""),
        id: fc.stringMatching(/^[a-c]{1,3}$/),
        content: fc.constantFrom("x", "y"),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 60 }), (entries) => {
        const recent = new RecentAppends();
        const model = new Map<string, AppendInput>();
        for (const { sender, id, content } of entries) {
          const input = { ...inputOf(id, content), sender };
          const known = model.get(`${sender} ${id}`);
          const expected = known && Buffer.compare(known.content, input.content) === 0 ? known.messageId : undefined;
          assert.equal(recent.find(input)?.messageId, expected);
          recent.add(input, { ...storedOf(input), recipients: [{ userId: sender, inboxSeq: 1 }] });
          model.set(`${sender} ${id}`, input);
        }
      }),
      { numRuns: 50 },
    );
  });
});
