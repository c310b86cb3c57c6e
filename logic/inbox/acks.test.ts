// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import { type DeviceAck, OtherEpochError } from "../store/store.ts";
import { AckBuffer } from "./acks.ts";
import { TestEpochs } from "./epoch-kit.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const session = (userId: string, epoch = "e1"): Session => ({
  entry: { incarnation: "pod.1", send: () => true },
  conn: 1,
  userId,
  slot: "web",
  deviceId: "d",
  deviceName: "d",
  loginSeq: 1,
  epochMark: epochMark(epoch),
  notedAckSeq: 0,
  token: { tokenId: "", issuedAtMs: 0, expiresAtMs: 0 },
});

function setUp() {
  const clock = new FakeClock();
  const writes: DeviceAck[][] = [];
  const noted: string[] = [];
  const state = { isDown: false, storeEpoch: "e1" };
  const epochs = new TestEpochs();
  const acks = new AckBuffer({
    store: {
      advanceAcks: async (batch, epoch) => {
        if (state.isDown) throw new Error("down");
        if (epoch !== state.storeEpoch) throw new OtherEpochError("acknowledgements");
        writes.push(batch.map((ack) => ({ ...ack })));
      },
    },
    epochs,
    clock,
    onNoted: (session, inboxSeq) => void noted.push(`${session.userId}/${inboxSeq}`),
    onFault: () => undefined,
    metrics: unreadMetrics(),
  });
  return { clock, writes, noted, state, epochs, acks };
}

describe("ack buffer", () => {
  it("writes the highest of each device, 1 s after the first", async () => {
    const { clock, writes, noted, acks } = setUp();
    const [a, b] = [session("a"), session("b")];
    for (const seq of [1, 5, 3]) acks.note(a, seq);
    acks.note(b, 2);
    clock.advance(999);
    await turn();
    assert.equal(writes.length, 0);
    clock.advance(1);
    await turn();
    assert.deepEqual(writes, [
      [
        { userId: "a", deviceId: "d", inboxSeq: 5 },
        { userId: "b", deviceId: "d", inboxSeq: 2 },
      ],
    ]);
    acks.note(a, 5);
    acks.note(a, 4);
    assert.equal(acks.isIdle, true, "nothing new");
    assert.deepEqual(noted, ["a/1", "a/5", "b/2"], "told at once, and only of progress");
    assert.equal(clock.pending, 0);
  });

  it("keeps what could not be written and writes the newest later", async () => {
    const { clock, writes, state, acks } = setUp();
    const a = session("a");
    state.isDown = true;
    acks.note(a, 5);
    clock.advance(1000);
    await turn();
    acks.note(a, 7);
    state.isDown = false;
    clock.advance(1000);
    await turn();
    assert.deepEqual(
      writes.flat().map((ack) => ack.inboxSeq),
      [7],
    );
  });

  it("writes everything at a flush and releases its timer at the close", async () => {
    const { clock, writes, acks } = setUp();
    acks.note(session("a"), 1);
    await acks.flush();
    assert.equal(writes.length, 1);
    acks.note(session("b"), 1);
    acks.close();
    assert.equal(clock.pending, 0);
  });

  it("sets no timer for what fails after the close", async () => {
    const { clock, state, acks } = setUp();
    state.isDown = true;
    acks.note(session("a"), 1);
    clock.advance(1000);
    acks.close();
    await turn();
    assert.equal(clock.pending, 0);
  });

  it("writes what is due at about the same time together, and the rest at its own time", async () => {
    const { clock, writes, acks } = setUp();
    const noted: [number, string][] = [
      [0, "a"],
      [90, "b"],
      [500, "c"],
    ];
    for (const [atMs, userId] of noted) {
      clock.advance(atMs - clock.nowMs());
      acks.note(session(userId), 1);
    }
    for (const atMs of [1000, 1499, 1500]) {
      clock.advance(atMs - clock.nowMs());
      await turn();
    }
    assert.deepEqual(
      writes.map((batch) => batch.map(({ userId }) => userId)),
      [["a", "b"], ["c"]],
    );
    assert.equal(clock.pending, 0);
  });

  it("writes one row for two sessions of a device, the further one", async () => {
    const { clock, writes, acks } = setUp();
    acks.note(session("a"), 7);
    acks.note(session("a"), 5);
    clock.advance(1000);
    await turn();
    assert.deepEqual(writes, [[{ userId: "a", deviceId: "d", inboxSeq: 7 }]]);
  });

  it("writes at most 1,000 rows at once, one batch after the other", async () => {
    const { writes, acks, clock } = setUp();
    for (let at = 0; at < 2001; at++) acks.note(session(`u${at}`), 1);
    clock.advance(1000);
    for (let part = 0; part < 3; part++) {
      await turn();
      clock.advance(0);
    }
    assert.deepEqual(
      writes.map((batch) => batch.length),
      [1000, 1000, 1],
    );
    for (let at = 0; at < 1500; at++) acks.note(session(`v${at}`), 1);
    await acks.flush();
    assert.deepEqual([writes.length, acks.isIdle, clock.pending], [5, true, 0]);
  });

  it("takes none from a session of another epoch, but hears it again once that epoch is known here", async () => {
    const { clock, writes, noted, epochs, state, acks } = setUp();
    const [old, fresh] = [session("a", "e0"), session("b", "e2")];
    acks.note(old, 5);
    acks.note(fresh, 2);
    assert.deepEqual([noted, epochs.doubts, acks.isIdle], [[], 2, true]);
    epochs.current = state.storeEpoch = "e2";
    acks.note(fresh, 2);
    clock.advance(1000);
    await turn();
    assert.deepEqual(writes.flat(), [{ userId: "b", deviceId: "d", inboxSeq: 2 }]);
  });

  it("drops what waited while the epoch changed, whoever notices first", async () => {
    const { clock, writes, epochs, state, acks } = setUp();
    acks.note(session("a"), 5);
    state.storeEpoch = "e2";
    clock.advance(1000);
    await turn();
    assert.deepEqual([writes.flat(), epochs.doubts, acks.isIdle, clock.pending], [[], 1, true, 0]);
    state.storeEpoch = "e1";
    acks.note(session("b"), 5);
    epochs.current = state.storeEpoch = "e2";
    acks.note(session("c", "e2"), 1);
    clock.advance(1000);
    await turn();
    assert.deepEqual(
      writes.flat().map(({ userId }) => userId),
      ["c"],
    );
  });
});
