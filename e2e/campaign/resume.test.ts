// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HistoryEvent } from "../checker/history.ts";
import { resumeMaxMs } from "./resume.ts";
import { describeFault } from "./schedule.ts";

const base = { seed: "t", process: "t" };
const failover = (atMs: number): HistoryEvent => {
  const what = describeFault({ kind: "failover", target: "postgres", atMs: 0, durationMs: 0, lane: 0 });
  return { ...base, op: "fault", kind: "info", what, atMs };
};
const send = (kind: "invoke" | "ok", cmid: string, atMs: number): HistoryEvent => {
  const message = { uid: "a", device: "d", cmid, to: "b", bodyHash: "h" };
  return { ...base, op: "send", kind, atMs, ...message };
};

describe("resumeMaxMs", () => {
  it("is the time to the first acknowledgement of a send that began after the failover", () => {
    const events = [
      send("invoke", "m1", 900),
      send("invoke", "m2", 1500),
      // Stored before the failover, answered late: proves nothing.
      send("ok", "m1", 1600),
      send("ok", "m2", 4000),
      // Faults are recorded when they are healed.
      failover(1000),
    ];
    assert.equal(resumeMaxMs(events), 3000);
  });

  it("is the longest of several", () => {
    const events = [
      send("invoke", "m1", 1001),
      send("ok", "m1", 1500),
      send("invoke", "m2", 9001),
      send("ok", "m2", 9900),
    ];
    assert.equal(resumeMaxMs([...events, failover(1000), failover(9000)]), 900);
    assert.equal(resumeMaxMs([...events, failover(9950)]), Number.POSITIVE_INFINITY);
  });

  it("is unknown without a failover", () => {
    assert.equal(resumeMaxMs([send("invoke", "m1", 1)]), undefined);
  });
});
