// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HistoryRecorder } from "../checker/history.ts";
import { type FaultSite, Nemesis } from "./nemesis.ts";
import type { Fault } from "./schedule.ts";

interface Site extends FaultSite {
  active: Set<Fault>;
  most: number;
  struck: Fault[];
}

/** Counts what is in force; healing takes `healMs` longer than planned. */
function newSite(healMs = 0): Site {
  const site: Site = {
    active: new Set(),
    most: 0,
    struck: [],
    classOf: ({ kind }) => (kind === "flush" ? "redis-loss" : "component"),
    async strike(fault) {
      for (const other of site.active) assert.notEqual(other.target, fault.target);
      site.active.add(fault);
      site.struck.push(fault);
      site.most = Math.max(site.most, site.active.size);
      return async () => {
        await new Promise((resolve) => setTimeout(resolve, healMs));
        site.active.delete(fault);
      };
    },
  };
  return site;
}

const fault = (lane: number, atMs: number, durationMs: number, target: string): Fault => ({
  kind: "pause",
  target,
  atMs,
  durationMs,
  lane,
});

describe("nemesis", () => {
  it("strikes and heals all, one a lane at a time, and records each with its end", async () => {
    const recorder = new HistoryRecorder("t");
    const site = newSite();
    const schedule = [
      fault(0, 0, 20, "a"),
      fault(1, 5, 20, "b"),
      fault(0, 30, 10, "b"),
      { ...fault(1, 31, 0, "c"), kind: "flush" as const },
    ];
    const nemesis = new Nemesis({ site, recorder, schedule });
    await nemesis.run(60_000);
    assert.equal(nemesis.done, 4);
    assert.deepEqual(nemesis.active, []);
    assert.equal(site.most, 2);
    const events = recorder.events.filter((event) => event.op === "fault");
    assert.deepEqual(events.map(({ faultClass }) => faultClass).sort(), [
      "component",
      "component",
      "component",
      "redis-loss",
    ]);
    for (const { atMs, untilMs = 0 } of events) assert.ok(untilMs >= atMs);
  });

  it("waits for a slow heal of its lane and its target, and leaves out what no longer fits", async () => {
    const site = newSite(60);
    const schedule = [fault(0, 0, 10, "a"), fault(1, 20, 10, "a"), fault(0, 40, 10, "b"), fault(0, 80, 60_000, "c")];
    await new Nemesis({ site, recorder: new HistoryRecorder("t"), schedule }).run(60_000);
    assert.deepEqual(site.struck.map(({ target }) => target).sort(), ["a", "a", "b"]);
    assert.equal(site.active.size, 0);
  });

  it("heals the other lanes before it reports a fault that could not be carried out", async () => {
    const site = newSite();
    const strike = site.strike;
    site.strike = async (one) => {
      if (one.target === "broken") throw new Error("no such host");
      return await strike(one);
    };
    const nemesis = new Nemesis({
      site,
      recorder: new HistoryRecorder("t"),
      schedule: [fault(0, 0, 5, "broken"), fault(1, 0, 40, "a")],
    });
    await assert.rejects(nemesis.run(60_000), /no such host/);
    assert.equal(site.active.size, 0);
    assert.deepEqual(nemesis.active, []);
  });
});
