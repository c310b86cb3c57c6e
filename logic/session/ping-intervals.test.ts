// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MIN_PING_INTERVAL_MS, pingIntervalsFor } from "./ping-intervals.ts";

const CONFIGURED = { pingIntervalMs: 30_000, backgroundPingIntervalMs: 120_000 };
const chosen = (silentDeathMs: number, configured = CONFIGURED): number[] => {
  const { pingIntervalMs, backgroundPingIntervalMs } = pingIntervalsFor({ silentDeathMs }, configured);
  return [pingIntervalMs, backgroundPingIntervalMs];
};

describe("pingIntervalsFor", () => {
  it("is what was configured while no connection died unnoticed", () => {
    assert.deepEqual(chosen(0), [30_000, 120_000]);
  });

  it("is half of the idle time after which the last one was dead, where that is shorter", () => {
    assert.deepEqual(chosen(28_000), [14_000, 14_000]);
    assert.deepEqual(chosen(110_000), [30_000, 55_000]);
    assert.deepEqual(chosen(300_000), [30_000, 120_000]);
  });

  it("ends at ten seconds, or at what was configured", () => {
    assert.deepEqual(chosen(14_000), [10_000, 10_000]);
    assert.deepEqual(chosen(1), [10_000, 10_000]);
    assert.deepEqual(chosen(1, { pingIntervalMs: 5000, backgroundPingIntervalMs: 5000 }), [5000, 5000]);
  });

  it("whatever a client says, no interval is longer than configured, nor shorter than both bounds", () => {
    const ms = fc.integer({ min: 1000, max: 600_000 });
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff_ffff }),
        ms,
        ms,
        (silentDeathMs, pingIntervalMs, backgroundPingIntervalMs) => {
          const configured = { pingIntervalMs, backgroundPingIntervalMs };
          const result = chosen(silentDeathMs, configured);
          [pingIntervalMs, backgroundPingIntervalMs].forEach((configuredMs, at) => {
            const intervalMs = result[at] ?? 0;
            assert.ok(intervalMs <= configuredMs && intervalMs >= Math.min(configuredMs, MIN_PING_INTERVAL_MS));
          });
        },
      ),
    );
  });
});
