// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { excessOf, Rebalance, type RebalanceFacts } from "./rebalance.ts";
import { many, sampleEntry } from "./testing/sample-entry.ts";

const NOW_MS = 100_000;
const facts = (more: Partial<RebalanceFacts>): RebalanceFacts => ({
  ...{ entries: [], revision: "new", replicas: 3, strategy: "Batched", maxSkewPercent: 20, nowMs: NOW_MS },
  ...more,
});
/** An update in batches was over some seconds ago. */
function updated(more: Partial<RebalanceFacts> = {}): Rebalance {
  const rebalance = new Rebalance();
  rebalance.look(facts({ entries: updating(), nowMs: 0, ...more }));
  rebalance.look(facts({ entries: heavy(), ...more, nowMs: NOW_MS - 5_000 }));
  return rebalance;
}
const heavy = () => [sampleEntry({ name: "h", sessions: 300 }), ...many(2, "n", { sessions: 0 })];
const updating = () => [...many(2, "n", { sessions: 100 }), sampleEntry({ name: "o", revision: "old", sessions: 100 })];

describe("excessOf", () => {
  it("is what is above the mean, and what comes back of it, where that is too much", () => {
    assert.deepEqual([...excessOf(heavy(), 20)], [["uid-h", { initial: 300, left: 300, failures: 0 }]]);
    const entries = [100, 150, 100, 100].map((sessions, at) => sampleEntry({ name: `e${at}`, sessions }));
    assert.equal(excessOf(entries, 30).get("uid-e1")?.initial, 49);
    assert.equal(excessOf(entries, 40).size, 0, "within what is allowed");
  });

  it("is none for a few clients, for one entry, and for none", () => {
    assert.equal(excessOf([sampleEntry({ name: "a", sessions: 28 }), ...many(2, "n", { sessions: 1 })], 20).size, 0);
    assert.equal(excessOf([sampleEntry({ name: "a", sessions: 900 })], 20).size, 0);
    assert.equal(excessOf([], 20).size, 0);
  });
});

describe("Rebalance", () => {
  it("begins when an update in batches is over, and asks each once", () => {
    assert.deepEqual(new Rebalance().look(facts({ entries: heavy() })), [], "nothing was updated");
    const rebalance = updated();
    assert.deepEqual(rebalance.look(facts({ entries: heavy(), nowMs: NOW_MS - 1 })), [], "some clients are under way");
    assert.deepEqual(rebalance.look(facts({ entries: heavy() })), [{ uid: "uid-h", initial: 300, waiting: 300 }]);
    rebalance.asked("uid-h", 120);
    assert.deepEqual(rebalance.look(facts({ entries: heavy() })), [{ uid: "uid-h", initial: 300, waiting: 180 }]);
    assert.deepEqual(rebalance.asking, ["uid-h"]);
    rebalance.asked("uid-h", 180);
    assert.deepEqual([rebalance.look(facts({ entries: heavy() })), rebalance.asking], [[], []]);
  });

  it("waits until everything is as wanted, and stops when it is not any more", () => {
    const starting = [...heavy().slice(1), sampleEntry({ name: "s", isReady: false })];
    const silent = [...heavy().slice(1), sampleEntry({ name: "s", sessions: undefined })];
    const leaving = [...heavy(), sampleEntry({ name: "l", drain: { phase: "Draining" } })];
    for (const entries of [starting, silent, leaving]) {
      const rebalance = updated();
      assert.deepEqual(rebalance.look(facts({ entries })), []);
      assert.deepEqual(rebalance.look(facts({ entries: heavy() })), [], "it is still only now");
      assert.equal(rebalance.look(facts({ entries: heavy(), nowMs: NOW_MS + 5_000 })).length, 1);
      assert.deepEqual(rebalance.look(facts({ entries: leaving, nowMs: NOW_MS + 5_500 })), []);
      assert.deepEqual(rebalance.look(facts({ entries: heavy(), nowMs: NOW_MS + 60_000 })), [], "for good");
    }
  });

  it("is for updates in batches, where the spec asks for it", () => {
    for (const more of [{ strategy: "BlueGreen" }, { maxSkewPercent: undefined }])
      assert.deepEqual(updated(more).look(facts({ entries: heavy(), ...more })), []);
  });

  it("gives an entry up that does not answer, or does not know how", () => {
    const rebalance = updated();
    rebalance.look(facts({ entries: heavy() }));
    for (let call = 0; call < 9; call++) rebalance.failed("uid-h");
    assert.deepEqual(rebalance.asking, ["uid-h"]);
    rebalance.failed("uid-h");
    assert.deepEqual(rebalance.asking, []);
    rebalance.failed("uid-h");
    rebalance.asked("uid-h", 1);
  });
});
