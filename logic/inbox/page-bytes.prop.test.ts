// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { SyncPage } from "#proto/gen/messages.ts";
import { type EventRow, eventBytes, type InboxPage, type StoredEvent } from "../store/store.ts";
import { SyncPageWriter } from "./page-bytes.ts";
import { pageOf } from "./pull.ts";

const seq = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const id = fc.string({ unit: "binary", maxLength: 64 }).map((value) => value.toWellFormed());
const event = fc.record(
  {
    inboxSeq: seq,
    conversationId: id,
    convSeq: seq,
    messageId: fc.constantFrom(randomUUID(), ""),
    sender: id,
    sentAtMs: seq,
    clientMessageId: id,
    contentType: id,
    // Events shorter than 128 bytes, usual ones, and ones whose length takes three bytes.
    content: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom(0, 127, 128, 16_300, 16_384, 65_536).map((length) => new Uint8Array(length).fill(7)),
    ),
  },
  { noNullPrototype: true },
);
const page: fc.Arbitrary<InboxPage> = fc.record(
  {
    events: fc.array(event, { maxLength: 6 }),
    nextCursor: seq,
    head: seq,
    more: fc.boolean(),
    epoch: fc.constantFrom(randomUUID(), ""),
    isGapTooLong: fc.boolean(),
  },
  { noNullPrototype: true },
);

const counted = (given: InboxPage): number => given.events.reduce((sum, one) => sum + eventBytes(one), 0);

/** An event as the database's rows have it: everything in one buffer, behind something else. */
function rowOf(event: StoredEvent): EventRow {
  const { inboxSeq, convSeq, sentAtMs } = event;
  const uuid = Buffer.from(event.messageId.replaceAll("-", ""), "hex");
  const texts = [event.sender, event.clientMessageId, event.contentType].map((text) => Buffer.from(text));
  const buffer = Buffer.concat([Buffer.from("before"), uuid, ...texts, event.content]);
  const [senderBytes = 0, clientMessageIdBytes = 0, contentTypeBytes = 0] = texts.map(({ length }) => length);
  const senderAt = 6 + uuid.length;
  const clientMessageIdAt = senderAt + senderBytes;
  const contentTypeAt = clientMessageIdAt + clientMessageIdBytes;
  return {
    ...{ inboxSeq, convSeq, sentAtMs, conversationId: Buffer.from(event.conversationId), buffer, messageIdAt: 6 },
    ...{ senderAt, senderBytes, clientMessageIdAt, clientMessageIdBytes, contentTypeAt, contentTypeBytes },
    ...{ contentAt: contentTypeAt + contentTypeBytes, contentBytes: event.content.length },
  };
}

function syncPageBytes(given: InboxPage, asRows = false): Buffer {
  const writer = new SyncPageWriter(given.epoch, counted(given));
  for (const one of given.events)
    if (asRows) writer.addRow(rowOf(one));
    else writer.add(one);
  assert.equal(writer.count, given.events.length);
  return writer.finish(given);
}

describe("page bytes", () => {
  it("are what the codec writes and reads", () => {
    fc.assert(
      fc.property(page, (given) => {
        const decoded = SyncPage.decode(syncPageBytes(given));
        const events = decoded.events.map((one) => ({ ...one, content: Uint8Array.from(one.content) }));
        assert.deepEqual({ ...decoded, events }, pageOf(given));
      }),
      { numRuns: 300 },
    );
  });

  it("are the same for rows as for events", () => {
    fc.assert(
      fc.property(page, fc.uuid(), (given, messageId) => {
        const events = given.events.map((one) => ({ ...one, messageId }));
        assert.ok(syncPageBytes({ ...given, events }, true).equals(syncPageBytes({ ...given, events })));
      }),
      { numRuns: 300 },
    );
  });

  it("take no more than events count for in limits, and little besides", () => {
    fc.assert(
      fc.property(page, (given) => {
        assert.ok(syncPageBytes(given).length <= counted(given) + 100);
      }),
      { numRuns: 300 },
    );
  });
});
