// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HistoryEvent } from "../checker/history.ts";
import { silences } from "./silence.ts";

const base = { seed: "t", process: "t" };
const fault = (what: string, atMs: number): HistoryEvent => ({ ...base, op: "fault", kind: "info", what, atMs });
const send = (kind: "invoke" | "ok" | "info", atMs: number): HistoryEvent => {
  const message = { uid: "a", device: "d", cmid: `${atMs}`, to: "b", bodyHash: "h" };
  return { ...base, op: "send", kind, atMs, ...message };
};
const acks = (...times: number[]): HistoryEvent[] => times.map((atMs) => send("ok", atMs));

describe("silence around a fault", () => {
  it("is the longest time between two acknowledgements, the last one before the fault among them", () => {
    assert.deepEqual([...silences([...acks(0, 900, 5000, 5100), fault("kill", 1000)])], [["kill", 4100]]);
  });

  it("may come later than the fault", () => {
    assert.deepEqual([...silences([...acks(0, 100, 200, 7200), fault("kill", 150)])], [["kill", 7000]]);
  });

  it("is not of what was before", () => {
    assert.deepEqual([...silences([...acks(0, 9000, 9100), fault("kill", 9050)])], [["kill", 100]]);
  });

  it("takes only acknowledgements for one, in whatever order events come", () => {
    const events = [...acks(4000, 100), send("invoke", 2000), send("info", 3000), fault("kill", 150)];
    assert.deepEqual([...silences(events)], [["kill", 3900]]);
  });

  it("is that of each fault until the next one", () => {
    const events = [...acks(0, 100, 2000, 2100, 9100, 9200), fault("first", 150), fault("second", 2150)];
    assert.deepEqual(
      [...silences(events)],
      [
        ["first", 1900],
        ["second", 7000],
      ],
    );
  });

  it("may last until the next fault, which may make it longer", () => {
    const events = [...acks(0, 100, 2000, 7500, 7600), fault("first", 150), fault("second", 6000)];
    assert.deepEqual(
      [...silences(events)],
      [
        ["first", 4000],
        ["second", 5500],
      ],
    );
  });

  it("has no end when nothing was acknowledged after the fault, or between it and the next", () => {
    assert.deepEqual([...silences([...acks(0, 100), fault("kill", 150)])], [["kill", Number.POSITIVE_INFINITY]]);
    const events = [...acks(0, 100, 3000), fault("first", 150), fault("second", 2000)];
    assert.equal(silences(events).get("first"), Number.POSITIVE_INFINITY);
    assert.equal(silences([...acks(500), fault("kill", 150)]).get("kill"), Number.POSITIVE_INFINITY);
    assert.equal(silences(acks(1, 2)).size, 0);
  });
});
