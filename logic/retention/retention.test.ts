// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import type { RetentionStore, SweepStep } from "../store/postgres-retention.ts";
import { createRetentionMetrics, RetentionJob } from "./retention.ts";

const DAY_MS = 86_400_000;

function setUp(over: Partial<RetentionStore> = {}, pruned: number[] = [], tenantDays: [string, number][] = []) {
  const clock = new FakeClock();
  const calls: string[] = [];
  const faults: unknown[] = [];
  const store: RetentionStore = {
    rollPartitions: async (cutoffMs, monthsAhead) => {
      calls.push(`partitions ${Math.round((clock.wallMs() - cutoffMs) / DAY_MS)} ${monthsAhead}`);
      return "";
    },
    sweepable: async () => [],
    sweep: async (table, { cutoffMs, tenantCutoffsMs }) => {
      const days = (ms: number): number => Math.round((clock.wallMs() - ms) / DAY_MS);
      const tenants = [...tenantCutoffsMs].map(([tenant, ms]) => ` ${tenant} ${days(ms)}`);
      calls.push(`${table} ${days(cutoffMs)}${tenants.join("")}`);
      return { deleted: 1, totalBlocks: 1, isEnd: true };
    },
    ...over,
  };
  const prunes: number[] = [];
  const broadcasts: [number, number][] = [];
  const metrics = new Metrics();
  const pruneChanges = async (cutoffMs: number): Promise<number> => {
    prunes.push(Math.round((clock.wallMs() - cutoffMs) / DAY_MS));
    return pruned.shift() ?? 0;
  };
  const job = new RetentionJob({
    store,
    changes: { pruneChanges },
    policy: { prune: async () => 0 },
    broadcasts: {
      prune: async (cutoffMs, maxRows) => {
        broadcasts.push([Math.round((clock.wallMs() - cutoffMs) / DAY_MS), maxRows]);
        return 3;
      },
    },
    limits: {
      ...{ keepMs: 90 * DAY_MS, keepKeysMs: 14 * DAY_MS, keepBroadcastsMs: 30 * DAY_MS },
      tenantKeepMs: new Map(tenantDays.map(([tenant, days]) => [tenant, days * DAY_MS])),
    },
    clock,
    random: () => 0.5,
    onFault: (_, error) => faults.push(error),
    log: silentLogger,
    metrics: createRetentionMetrics(metrics),
  });
  return { clock, calls, faults, job, prunes, broadcasts, metrics };
}

/** Lets a round run whose pauses are those of the clock. */
async function finish(clock: FakeClock, round: Promise<void>): Promise<void> {
  let isDone = false;
  void round.finally(() => {
    isDone = true;
  });
  for (let turns = 0; !isDone && turns < 10_000; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(100);
  }
  assert.ok(isDone, "the round ends");
}

describe("retention", () => {
  it("makes and drops partitions, then sweeps each table by its own limit", async () => {
    const { clock, calls, job } = setUp();
    job.start();
    clock.advance(59_999);
    assert.deepEqual(calls, []);
    clock.advance(1);
    await job.stop();
    assert.deepEqual(calls, ["partitions 90 2", "idempotency 14", "message_default 90", "inbox_default 90"]);
    assert.equal(clock.pending, 0);
  });

  it("forgets broadcasts that were over for longer than asked for, a portion in a round", async () => {
    const { clock, job, broadcasts, metrics } = setUp();
    for (let round = 0; round < 2; round++) await finish(clock, job.round());
    assert.deepEqual(broadcasts, [
      [30, 50],
      [30, 50],
    ]);
    assert.match(await metrics.render(), /im_retention_deleted_rows_total\{table="broadcasts"\} 6/);
  });

  it("sweeps partitions, with the shorter times of tenants", async () => {
    const wanted: number[] = [];
    const store: Partial<RetentionStore> = {
      sweepable: async ({ tenantCutoffsMs }) => {
        wanted.push(tenantCutoffsMs.size);
        return ["inbox_y2026m01", "message_y2026m01"];
      },
    };
    const { clock, calls, job } = setUp(
      store,
      [],
      [
        ["acme", 30],
        ["slow", 400],
      ],
    );
    job.start();
    await finish(clock, job.round());
    await job.stop();
    assert.deepEqual(wanted, [1], "a longer time than everybody's is everybody's");
    assert.deepEqual(calls.slice(1), [
      ...["idempotency 14", "message_default 90 acme 30", "inbox_default 90 acme 30"],
      ...["inbox_y2026m01 90 acme 30", "message_y2026m01 90 acme 30"],
    ]);
  });

  it("forgets what is about old messages, some at a time", async () => {
    const { clock, job, prunes } = setUp({}, [2000, 2000, 7]);
    job.start();
    await finish(clock, job.round());
    assert.deepEqual(prunes, [90, 90, 90, 90]);
    await job.stop();
  });

  it("drops one partition after the other, and none while another process works", async () => {
    const names = ["inbox_y2025m01", "message_y2025m01", ""];
    const { clock, calls, job } = setUp({ rollPartitions: async () => names.shift() });
    job.start();
    await finish(clock, job.round());
    assert.equal(names.length, 0);
    assert.equal(calls.length, 3);
    await finish(clock, job.round());
    assert.equal(calls.length, 3, "rollPartitions said undefined: another process");
    await job.stop();
  });

  it("sweeps a large table in parts of a few hours' whole, step by step", async () => {
    let steps = 0;
    const step: SweepStep = { deleted: 0, totalBlocks: 250 * 360 * 7, isEnd: false };
    const { clock, job } = setUp({
      sweep: async (table) => {
        if (table !== "idempotency") return { ...step, isEnd: true };
        steps++;
        return step;
      },
    });
    job.start();
    await finish(clock, job.round());
    assert.equal(steps, 7);
    step.totalBlocks *= 1_000_000;
    await finish(clock, job.round());
    assert.equal(steps, 507, "a round is bounded");
    await job.stop();
  });

  it("survives a store that is away, and leaves a table that another process sweeps", async () => {
    const { clock, calls, faults, job } = setUp({ sweep: async () => undefined });
    job.start();
    await finish(clock, job.round());
    assert.deepEqual(calls, ["partitions 90 2"]);
    await job.stop();
    const down = setUp({ rollPartitions: () => Promise.reject(new Error("away")) });
    await down.job.round();
    assert.equal(down.faults.length, 1);
    assert.equal(faults.length, 0);
  });

  it("stops in the middle of a round, and waits for the running step", async () => {
    const step: SweepStep = { deleted: 0, totalBlocks: 1e9, isEnd: false };
    let steps = 0;
    const { clock, job } = setUp({
      sweep: async () => {
        steps++;
        return step;
      },
    });
    job.start();
    clock.advance(60_000);
    for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
    await job.stop();
    assert.equal(steps, 1);
    assert.equal(clock.pending, 0);
  });
});
