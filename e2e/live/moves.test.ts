// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HistoryEvent } from "../checker/history.ts";
import { movesOf, quantileMs } from "./moves.ts";

const session = (uid: string, kind: "open" | "close", atMs: number): HistoryEvent => ({
  ...{ seed: "s", op: "session", process: `client:${uid}/phone`, device: "phone", slot: "mobile" },
  ...{ uid, kind, atMs, sid: `${uid}-${atMs}` },
});

describe("what happened to connections", () => {
  it("counts logins after the first one, per client", () => {
    const events = [
      session("a", "open", 1),
      session("b", "open", 2),
      session("a", "close", 100),
      session("a", "open", 130),
      session("a", "close", 200),
      session("a", "open", 200),
    ];
    assert.deepEqual(movesOf(events, 50, 300), {
      reconnects: 2,
      reconnectsPerClientMax: 2,
      offlineMs: [30, 0],
      mostMoved: "client:a/phone",
    });
  });

  it("leaves out what was before, and what came after", () => {
    const events = [
      session("a", "open", 1),
      session("a", "close", 10),
      session("a", "open", 20),
      session("a", "close", 400),
      session("a", "open", 500),
    ];
    assert.deepEqual(movesOf(events, 50, 300), {
      reconnects: 0,
      reconnectsPerClientMax: 0,
      offlineMs: [],
      mostMoved: undefined,
    });
  });

  it("counts the time of those who are still away", () => {
    const events = [session("a", "open", 1), session("a", "close", 100)];
    assert.deepEqual(movesOf(events, 50, 300), {
      reconnects: 0,
      reconnectsPerClientMax: 0,
      offlineMs: [200],
      mostMoved: undefined,
    });
  });

  it("counts an absence from before that ended within", () => {
    const events = [session("a", "open", 1), session("a", "close", 40), session("a", "open", 90)];
    assert.deepEqual(movesOf(events, 50, 300).offlineMs, [50]);
  });

  it("reads no other events", () => {
    const note: HistoryEvent = { seed: "s", op: "connection", kind: "info", process: "x", atMs: 60, what: "open" };
    assert.deepEqual(movesOf([note], 50, 300), {
      reconnects: 0,
      reconnectsPerClientMax: 0,
      offlineMs: [],
      mostMoved: undefined,
    });
  });
});

describe("quantileMs", () => {
  it("is the value below which the share lies", () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    assert.deepEqual([quantileMs(values, 0.5), quantileMs(values, 0.99), quantileMs(values, 1)], [50, 99, 100]);
    assert.equal(values[0], 100, "the values stay as they are");
  });

  it("is 0 of nothing, and whole", () => {
    assert.deepEqual([quantileMs([], 0.99), quantileMs([1.6], 0.99)], [0, 2]);
  });
});
