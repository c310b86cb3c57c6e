// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import type { Watermark } from "../store/broadcast-store.ts";
import { Watermarks } from "./watermarks.ts";

function setUp() {
  const clock = new FakeClock();
  const written: Watermark[][] = [];
  const state = { isAway: false };
  const marks = new Watermarks({
    store: {
      advance: async (batch, epoch) => {
        assert.equal(epoch, "e-1");
        if (state.isAway) throw new Error("away");
        written.push([...batch]);
      },
    },
    clock,
    epoch: () => "e-1",
    onFault: () => undefined,
  });
  const pass = async (ms: number) => {
    clock.advance(ms);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, marks, written, state, pass };
}

describe("Watermarks", () => {
  it("are written together a little later, the highest of each user", async () => {
    const { clock, marks, written, pass } = setUp();
    for (const [userId, seq] of [
      ["a", 3],
      ["b", 1],
      ["a", 5],
      ["a", 4],
    ] as const)
      marks.note(userId, seq);
    await pass(400);
    assert.deepEqual(written, []);
    await pass(200);
    assert.deepEqual(written, [
      [
        { userId: "a", seq: 5 },
        { userId: "b", seq: 1 },
      ],
    ]);
    assert.ok(marks.isIdle && clock.pending === 0);
  });

  it("go in batches", async () => {
    const { marks, written } = setUp();
    for (let n = 0; n < 2500; n++) marks.note(`user-${n}`, 1);
    await marks.flush();
    assert.deepEqual(
      written.map(({ length }) => length),
      [1000, 1000, 500],
    );
  });

  it("wait while the store is away, and are not lost", async () => {
    const { marks, written, state, pass } = setUp();
    state.isAway = true;
    marks.note("a", 3);
    await pass(600);
    assert.deepEqual([written.length, marks.isIdle], [0, false]);
    marks.note("a", 4);
    state.isAway = false;
    await pass(600);
    assert.deepEqual(written, [[{ userId: "a", seq: 4 }]]);
    marks.note("a", 5);
    marks.close();
  });
});
