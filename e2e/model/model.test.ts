// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runSeed } from "./run.ts";
import { upgradeCosts } from "./upgrade-cost.ts";

const SEEDS = 300;
const AT_ONCE = 50;

describe("the operator over a simulated cluster", () => {
  for (let from = 1; from <= SEEDS; from += AT_ONCE) {
    it(`keeps its promises with seeds ${from} to ${from + AT_ONCE - 1}`, () => {
      const results = Array.from({ length: AT_ONCE }, (_, index) => runSeed(from + index));
      const failed = results.filter(({ violations }) => violations.length > 0);
      assert.deepEqual(
        failed.map(({ seed, violations }) => ({ replay: `make model SEED=${seed}`, violations })),
        [],
      );
      const sum = (of: "faults" | "upgrades") => results.reduce((total, result) => total + result[of], 0);
      assert.ok(sum("faults") > AT_ONCE && sum("upgrades") > AT_ONCE / 2, "enough happens");
    });
  }

  it("does the same twice for one seed", () => {
    assert.deepEqual(runSeed(7), runSeed(7));
    assert.notDeepEqual(runSeed(7), runSeed(8));
  });
});

describe("an upgrade", () => {
  const costs = upgradeCosts(1, { entries: 12, clients: 600 });
  const of = (strategy: string) => costs.find((cost) => cost.strategy === strategy);

  it("costs a client one reconnect where the old entries close together", () => {
    for (const strategy of ["BlueGreen", "Batched 25 %, room for all"]) {
      assert.deepEqual([of(strategy)?.reconnectsMean, of(strategy)?.reconnectsMax], [1, 1], strategy);
    }
    assert.equal(of("BlueGreen")?.entriesMax, 24);
    assert.equal(of("Batched 25 %, room for all")?.entriesMax, 15);
  });

  it("costs more where they stay open, at most one per batch", () => {
    const batched = of("Batched 25 %, no room for all");
    assert.ok((batched?.reconnectsMean ?? 0) > 1.1);
    assert.ok((batched?.reconnectsMax ?? 99) <= 4);
    assert.ok((of("one at a time, old ones stay open")?.reconnectsMean ?? 0) > (batched?.reconnectsMean ?? 0));
  });
});
