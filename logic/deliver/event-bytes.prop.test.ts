// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Event, Push, SyncPage } from "#proto/gen/messages.ts";
import { EventFields, PAGE_EVENTS_TAG, PUSH_EVENTS_TAG } from "./event-bytes.ts";

const seq = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ unit: "binary", maxLength: 200 }).map((value) => value.toWellFormed());
const event: fc.Arbitrary<Event> = fc.record(
  {
    inboxSeq: seq,
    conversationId: text,
    convSeq: seq,
    messageId: text,
    sender: text.map((value) => value.replaceAll("/", "")),
    sentAtMs: seq,
    clientMessageId: text,
    contentType: text,
    content: fc.uint8Array({ maxLength: 300 }),
  },
  { noNullPrototype: true },
);

const plain = (events: readonly Event[]): Event[] =>
  events.map((one) => ({ ...one, content: Uint8Array.from(one.content) }));

describe("event bytes", () => {
  it("concatenate to what the codec reads as Push and SyncPage", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 4 }), (events) => {
        for (const [tag, codec] of [
          [PUSH_EVENTS_TAG, Push],
          [PAGE_EVENTS_TAG, SyncPage],
        ] as const) {
          const body = Buffer.concat(events.map((one) => new EventFields(tag, one).of(one.inboxSeq)));
          assert.deepEqual(plain(codec.decode(body).events), plain(events));
        }
      }),
      { numRuns: 300 },
    );
  });

  it("are each recipient's own", () => {
    fc.assert(
      fc.property(event, fc.array(seq, { minLength: 1, maxLength: 4 }), (one, inboxSeqs) => {
        const fields = new EventFields(PUSH_EVENTS_TAG, one);
        const body = Buffer.concat(inboxSeqs.map((inboxSeq) => fields.of(inboxSeq)));
        const expected = inboxSeqs.map((inboxSeq) => ({ ...one, inboxSeq }));
        assert.deepEqual(plain(Push.decode(body).events), plain(expected));
      }),
    );
  });
});
