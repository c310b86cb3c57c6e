// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { ErrorInfo, Typing } from "#proto/gen/messages.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import type { EphemeralFrame } from "../deliver/ephemeral.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import { TYPING_MEMBERS, TypingHandler } from "./typing-handler.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp(members: number) {
  const told: EphemeralFrame[] = [];
  const sent: RecordInput[] = [];
  const state = { failure: undefined as Error | undefined };
  const clock = new FakeClock();
  const handler = new TypingHandler({
    states: {
      members: async (asks) => {
        if (state.failure) throw state.failure;
        const people = ["alice", ...Array.from({ length: members - 1 }, (_, at) => `m${at}`)];
        return asks.map(({ conversationId }) => (conversationId === "mine" ? people : undefined));
      },
    },
    ephemeral: { send: (frame) => void told.push(frame) },
    ...{ clock, random: () => 0.5, defer: setImmediate, onFault: () => undefined, metrics: unreadMetrics() },
  });
  const entry = { incarnation: "pod.1", send: (record: RecordInput) => sent.push(record) > 0 };
  const session = { entry, conn: 7, userId: "alice" } as unknown as Session;
  const type = async (rid: number, conversationId: string): Promise<void> => {
    handler.handle(session, rid, Typing.encode({ conversationId }));
    for (let at = 0; at < 100 && !handler.isIdle; at++) await turn();
    assert.ok(handler.isIdle);
  };
  return { type, told, sent, state, clock };
}

describe("TypingHandler", () => {
  it("tells the others, up to a size of the group", async () => {
    const { type, told, sent } = setUp(3);
    await type(0, "mine");
    assert.deepEqual(
      told.map(({ userIds }) => userIds),
      [["m0", "m1"]],
    );
    assert.equal(sent.length, 0, "nobody waits for an answer");
    const large = setUp(TYPING_MEMBERS + 1);
    await large.type(1, "mine");
    assert.deepEqual(
      large.told.map(({ userIds }) => userIds.length),
      [0],
    );
    assert.equal(large.sent[0]?.cmd, Command.TYPING);
  });

  it("tells nobody of what is not the user's, or cannot be looked up, or comes too often", async () => {
    const { type, told, sent, state, clock } = setUp(3);
    await type(0, "other");
    await type(1, "other");
    state.failure = new ImError(ErrorCode.RETRYABLE, "away");
    await type(0, "mine");
    await type(2, "mine");
    state.failure = undefined;
    const errors = (): RecordInput[] => sent.filter(({ cmd }) => cmd === Command.ERROR);
    const codes = (): number[] => errors().map(({ body }) => ErrorInfo.decode(body ?? new Uint8Array(0)).code);
    assert.deepEqual([codes(), told.length], [[ErrorCode.PERMISSION_DENIED, ErrorCode.RETRYABLE], 0]);
    await type(3, "mine");
    await type(0, "mine");
    await type(4, "mine");
    assert.deepEqual([codes().at(-1), told.length], [ErrorCode.RATE_LIMITED, 1]);
    clock.advance(1000);
    await type(5, "mine");
    assert.equal(told.length, 2);
  });
});
