// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OPERATIONS, pointsOf, runPoint } from "./crash-points.ts";
import { type Plan, planOf } from "./plan.ts";
import { describeViolations } from "./report.ts";
import { runSeed } from "./run.ts";

const SEEDS = 120;
/**
 * Seeds that once failed. The plans change with the code; what they found is in unit tests too. 3098: a kick was told to
 * a dead stream of its entry only. 4394: an extlogic died with a step in hand, whose lease held its push up for 30 s.
 * 1012 and 4523: a login that got no page gave its slot back while the router was away. 4675: between a fenced login and the return of
 * the slot that it took a third one came, and nobody kicked whose slot it had been.
 */
const ONCE_FAILED = [1012, 3098, 4394, 4523, 4675];
const SEED_FROM = 1_000_000;

function assertClean(result: Awaited<ReturnType<typeof runSeed>>, what: string): void {
  if (result.violations.length > 0) assert.fail(`${what}:\n${describeViolations(result).join("\n")}`);
}

describe("simulation", () => {
  it(`finds nothing in ${SEEDS} seeds`, async () => {
    let [ops, faults, acked] = [0, 0, 0];
    for (let seed = SEED_FROM; seed < SEED_FROM + SEEDS; seed++) {
      const result = await runSeed(seed);
      assertClean(result, `seed ${seed}`);
      ops += result.ops;
      faults += result.faults;
      acked += result.report.counts.acked;
    }
    assert.ok(ops > SEEDS * 150 && faults > SEEDS * 5, `${ops} operations, ${faults} faults`);
    assert.ok(acked > SEEDS * 50, `only ${acked} messages were acknowledged`);
  });

  it("finds nothing any more in seeds that once failed", async () => {
    for (const seed of ONCE_FAILED) assertClean(await runSeed(seed), `seed ${seed}`);
  });

  it("runs the same history for the same seed", async () => {
    const [first, second] = [await runSeed(11), await runSeed(11)];
    assert.deepEqual(first.history, second.history);
    assert.equal(first.steps, second.steps);
  });

  it("runs another history for another seed", async () => {
    assert.notDeepEqual((await runSeed(11)).history, (await runSeed(12)).history);
  });

  it("reports real time and real sockets", async () => {
    const plan: Plan = { ...planOf(1), ops: [], faults: [], activeMs: 2000 };
    const result = await runSeed(1, plan, {
      atMs: 1000,
      act: ({ kernel }, { logics: [logic] }) => {
        kernel.after(0, logic?.proc, () => {
          Date.now();
          setInterval(() => undefined, 1);
        });
      },
    });
    const kinds = result.violations.map(({ check, message }) => `${check} ${message.split(":")[0]}`);
    assert.deepEqual(kinds, ["sim Date.now", "sim setInterval"]);
    assert.ok(Math.abs(Date.now() - performance.timeOrigin - performance.now()) < 60_000, "real again afterwards");
  });
});

describe("crash points", () => {
  for (const operation of OPERATIONS) {
    it(`keeps every promise when a process dies at any call of a ${operation.name}`, async () => {
      const points = await pointsOf(operation);
      assert.ok(points.length >= 8, `only ${points.length} points`);
      for (const point of points) assertClean(await runPoint(operation, point), JSON.stringify(point));
    });
  }
});
