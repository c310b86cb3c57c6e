// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { Block, BlockList, ErrorInfo } from "#proto/gen/messages.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import type { EphemeralFrame } from "../deliver/ephemeral.ts";
import { Gate } from "../gate.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import { MemoryBlocks } from "../store/memory-blocks.ts";
import { BlockHandler, MAX_NAMED } from "./block-handler.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp() {
  const clock = new FakeClock();
  const gate = new Gate({ clock, maxRunning: 1, maxWaiting: 1, maxWaitMs: 1000 });
  const store = new MemoryBlocks();
  const sent: RecordInput[] = [];
  const told: EphemeralFrame[] = [];
  const parted: string[] = [];
  const state = { failure: undefined as Error | undefined };
  const handler = new BlockHandler({
    blocks: {
      change: (change) => store.change(change),
      list: async (userId) => {
        if (state.failure) throw state.failure;
        return store.list(userId);
      },
    },
    ephemeral: { send: (frame) => void told.push(frame) },
    parted: (one, other) => void parted.push(`${one} ${other}`),
    ...{ gate, clock, random: () => 0.5, onFault: () => undefined, metrics: unreadMetrics() },
  });
  const entry = { incarnation: "pod.1", send: (record: RecordInput) => sent.push(record) > 0 };
  const session = { entry, conn: 7, userId: "alice" } as unknown as Session;
  const ask = async (request: Partial<Block> | Uint8Array, rid = 1) => {
    handler.handle(session, rid, request instanceof Uint8Array ? request : Block.encode(request));
    for (let at = 0; at < 50 && gate.running > 0; at++) await turn();
    const reply = sent.at(-1);
    const body = reply?.body ?? new Uint8Array(0);
    return reply?.cmd === Command.BLOCK ? BlockList.decode(body) : ErrorInfo.decode(body);
  };
  return { ask, told, parted, sent, clock, state };
}

describe("BlockHandler", () => {
  it("changes the list, tells the user's other devices, and parts the two", async () => {
    const { ask, told, parted } = setUp();
    assert.deepEqual(await ask({}), { version: 0, complete: false, userIds: [] });
    assert.deepEqual(await ask({ block: ["bob", "carol"] }), { version: 1, complete: true, userIds: ["bob", "carol"] });
    assert.deepEqual(parted, ["alice bob", "alice carol"]);
    assert.deepEqual(
      [told.length, told[0]?.userIds, told[0]?.except],
      [1, ["alice"], { incarnation: "pod.1", conn: 7 }],
    );
    assert.deepEqual(await ask({ block: ["bob"], version: 1 }), { version: 1, complete: false, userIds: [] });
    assert.equal(told.length, 1, "nothing changed");
    assert.deepEqual(await ask({ unblock: ["bob"], version: 1 }), { version: 2, complete: true, userIds: ["carol"] });
    assert.equal(parted.length, 2);
  });

  it("refuses what it cannot be, and says what to do", async () => {
    const { ask, clock, told } = setUp();
    const bad: (Partial<Block> | Uint8Array)[] = [
      Uint8Array.of(0xff),
      { block: ["a b"] },
      { unblock: [""] },
      { block: ["alice"] },
      { block: ["bob"], unblock: ["bob"] },
      { block: Array.from({ length: MAX_NAMED + 1 }, (_, at) => `u${at}`) },
      { version: 2 ** 60 },
    ];
    for (const request of bad) {
      const answer = await ask(request);
      assert.ok("code" in answer && answer.code === ErrorCode.BAD_REQUEST && answer.reason.length > 20);
    }
    for (let at = 0; at < 20; at++) await ask({});
    const limited = await ask({});
    assert.ok("code" in limited && limited.code === ErrorCode.RATE_LIMITED && limited.retryAfterMs > 0);
    clock.advance(1000);
    for (let at = 0; at < 5; at++) {
      const block = Array.from({ length: MAX_NAMED }, (_, user) => `u${at}-${user}`);
      assert.ok("version" in (await ask({ block })));
      clock.advance(1000);
    }
    const full = await ask({ block: ["one-more"] });
    assert.ok("code" in full && full.reason.includes("unblock some first"));
    assert.equal(told.length, 5);
  });

  it("says when nothing is known, and nothing at all to whom does not ask", async () => {
    const { ask, state, sent } = setUp();
    state.failure = new ImError(ErrorCode.RETRYABLE, "away");
    const answer = await ask({ block: ["bob"] });
    assert.ok("code" in answer && answer.code === ErrorCode.RETRYABLE && answer.retryable);
    const before = sent.length;
    await ask({ block: ["bob"] }, 0);
    assert.equal(sent.length, before);
  });
});
