// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { ConvSet, ErrorInfo, Read, ReadState } from "#proto/gen/messages.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import type { EphemeralFrame } from "../deliver/ephemeral.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import type { ConversationStore, StateChange, StateResult } from "../store/conversation-store.ts";
import { StateHandler, TOLD_MEMBERS } from "./state-handler.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function sessionOf(userId: string): { session: Session; sent: RecordInput[] } {
  const sent: RecordInput[] = [];
  const entry = { incarnation: "pod.1", send: (record: RecordInput) => sent.push(record) > 0 };
  const token = { tokenId: "", issuedAtMs: 0, expiresAtMs: 0 };
  const device = { slot: "mobile", deviceId: "d", deviceName: "", loginSeq: 1, epochMark: 1, notedAckSeq: 0, token };
  return { session: { entry, conn: 7, userId, ...device }, sent };
}

/** A handler over a store that takes what it is given, and has a group of `members`. */
function setUp({ members = 2, peer = "" }: { members?: number; peer?: string } = {}) {
  const clock = new FakeClock();
  const batches: StateChange[][] = [];
  const told: EphemeralFrame[] = [];
  const faults: string[] = [];
  const store = { failure: undefined as Error | undefined, membersFailure: undefined as Error | undefined };
  const resultOf = ({ conversationId, readSeq = 0, pinned = false }: StateChange): StateResult => {
    if (conversationId === "full") return { kind: "too-many-pinned" };
    const state = { conversationId, readSeq, pinned, archived: false, mutedUntilMs: 0, deletedToSeq: 0, version: 5 };
    if (readSeq === 0 && !pinned) return { kind: "unchanged", state };
    return peer ? { kind: "changed", state, peer: { userId: peer, version: 9 } } : { kind: "changed", state };
  };
  const states: Pick<ConversationStore, "change" | "members" | "receipts"> = {
    change: async (changes) => {
      batches.push([...changes]);
      await turn();
      if (store.failure) throw store.failure;
      return changes.map(resultOf);
    },
    members: async () => {
      if (store.membersFailure) throw store.membersFailure;
      return [["alice", ...Array.from({ length: members - 1 }, (_, at) => `m${at}`)]];
    },
    receipts: async () => {
      if (store.membersFailure) throw store.membersFailure;
      return [{ userId: "m0", readSeq: 3 }];
    },
  };
  const handler = new StateHandler({
    ...{ states, ephemeral: { send: (frame) => void told.push(frame) }, clock, random: () => 0.5, defer: setImmediate },
    ...{ onFault: (op) => void faults.push(op), metrics: unreadMetrics() },
  });
  const idle = async (): Promise<void> => {
    for (let at = 0; at < 100 && !handler.isIdle; at++) await turn();
    assert.ok(handler.isIdle);
  };
  return { handler, clock, batches, told, faults, store, idle, ...sessionOf("alice") };
}

const readBody = (convSeq: number, more: Partial<Read> = {}): Uint8Array =>
  Read.encode({ conversationId: "c", convSeq, ...more });
const errorOf = (record: RecordInput | undefined): ErrorInfo => {
  assert.equal(record?.cmd, Command.ERROR);
  return ErrorInfo.decode(record?.body ?? new Uint8Array(0));
};

describe("StateHandler", () => {
  it("stores what comes in one tick, or while a batch is under way, together and in order", async () => {
    const { handler, session, sent, batches, idle } = setUp();
    for (const convSeq of [1, 2, 3]) handler.read(session, convSeq, readBody(convSeq));
    await turn();
    handler.read(session, 4, readBody(4));
    handler.set(session, 5, ConvSet.encode({ conversationId: "c", pin: 1 }));
    await idle();
    assert.deepEqual(
      batches.map((batch) => batch.map(({ readSeq, pinned }) => readSeq ?? pinned)),
      [
        [1, 2, 3],
        [4, true],
      ],
    );
    assert.deepEqual(
      sent.map(({ rid }) => rid),
      [1, 2, 3, 4, 5],
    );
  });

  it("tells the peer its own version, and not the connection that it comes from", async () => {
    const { handler, session, told, idle } = setUp({ peer: "bob" });
    handler.read(session, 1, readBody(4));
    await idle();
    assert.deepEqual(
      told.map(({ userIds, except }) => [...userIds, except?.conn]),
      [
        ["alice", 7],
        ["bob", undefined],
      ],
    );
    assert.deepEqual(
      told.map(({ body }) => ReadState.decode(body).version),
      [5, 9],
    );
  });

  it("tells the members of a group up to a size, and the own devices of any", async () => {
    for (const [members, count] of [
      [TOLD_MEMBERS, TOLD_MEMBERS - 1],
      [TOLD_MEMBERS + 1, 0],
    ] as const) {
      const { handler, session, told, idle } = setUp({ members });
      handler.read(session, 1, readBody(4));
      await idle();
      assert.deepEqual(
        told.map(({ userIds }) => userIds.length),
        [1, count],
      );
    }
  });

  it("answers a store that is away with a delay, once, and nobody where nobody waits", async () => {
    const { handler, session, sent, store, faults, told, idle } = setUp();
    store.failure = new ImError(ErrorCode.RETRYABLE, "away");
    handler.read(session, 1, readBody(4));
    handler.read(session, 0, readBody(4));
    await idle();
    assert.equal(sent.length, 1);
    const { code, retryable, retryAfterMs } = errorOf(sent[0]);
    assert.deepEqual([code, retryable, retryAfterMs], [ErrorCode.RETRYABLE, true, 300]);
    store.failure = new TypeError("a bug");
    handler.read(session, 2, readBody(4));
    await idle();
    assert.deepEqual([errorOf(sent[1]).code, errorOf(sent[1]).retryable], [ErrorCode.INTERNAL, false]);
    store.failure = new ImError(ErrorCode.BUSY, "full");
    handler.read(session, 3, readBody(4));
    await idle();
    assert.equal(errorOf(sent[2]).code, ErrorCode.BUSY);
    assert.deepEqual([faults.length, told.length], [4, 0]);
  });

  it("has stored what it could not tell the others, and says so", async () => {
    const { handler, session, sent, store, told, faults, idle } = setUp();
    store.membersFailure = new ImError(ErrorCode.RETRYABLE, "away");
    handler.read(session, 1, readBody(4));
    await idle();
    assert.deepEqual([sent.length, sent[0]?.cmd, told.length, faults], [1, Command.READ, 1, ["members"]]);
    handler.read(session, 2, readBody(4, { withReceipts: true }));
    await idle();
    assert.equal(errorOf(sent[1]).code, ErrorCode.RETRYABLE);
    assert.equal(sent.length, 2);
  });

  it("says that too many are pinned", async () => {
    const { handler, session, sent, idle } = setUp();
    handler.set(session, 1, ConvSet.encode({ conversationId: "full", pin: 1 }));
    await idle();
    assert.deepEqual([errorOf(sent[0]).code, /pinned/.test(errorOf(sent[0]).reason)], [ErrorCode.BAD_REQUEST, true]);
  });

  it("paces each session by itself", async () => {
    const { handler, session, sent, clock, idle } = setUp();
    for (let rid = 1; rid <= 201; rid++) handler.read(session, rid, readBody(0));
    const { code, retryAfterMs } = errorOf(sent[0]);
    assert.deepEqual([code, retryAfterMs], [ErrorCode.RATE_LIMITED, 50]);
    const other = sessionOf("bob");
    handler.read(other.session, 1, readBody(0));
    clock.advance(50);
    handler.read(session, 202, readBody(0));
    await idle();
    assert.deepEqual([sent.length, other.sent.length], [202, 1]);
    assert.equal(sent.filter(({ cmd }) => cmd === Command.ERROR).length, 1);
  });
});
