// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DelayMeter } from "./delay-meter.ts";

const INTERVAL_MS = 4333;
const DAY_MS = 86_400_000;

describe("delay meter", () => {
  it("tells what a message took longer than the fastest, give or take the drift it allows for", () => {
    const meter = new DelayMeter();
    const apartMs = 1e9;
    const delay = (sentMs: number, tookMs: number): number => meter.delayMs(sentMs + apartMs, sentMs + tookMs);
    assert.equal(delay(0, 5), 0);
    assert.equal(delay(5000, 2), 0);
    assert.ok(Math.abs(delay(10_000, 2502) - 2500) < 10);
    assert.ok(delay(15_000, 2) < 10);
  });

  for (const partsPerMillion of [-500, -50, 50, 500]) {
    it(`takes no drift of ${partsPerMillion} ppm for a delay, for days`, () => {
      const meter = new DelayMeter();
      let longest = 0;
      for (let nowMs = 0; nowMs < 7 * DAY_MS; nowMs += INTERVAL_MS)
        longest = Math.max(longest, meter.delayMs(nowMs * (1 + partsPerMillion / 1e6), nowMs + 3));
      assert.ok(longest < 10, `${longest} ms`);
    });
  }

  it("sees a delay through a drift", () => {
    const meter = new DelayMeter();
    for (let nowMs = 0; nowMs < DAY_MS; nowMs += INTERVAL_MS) meter.delayMs(nowMs * 0.9995, nowMs);
    assert.ok(Math.abs(meter.delayMs(DAY_MS * 0.9995, DAY_MS + 3000) - 3000) < 20);
  });
});
