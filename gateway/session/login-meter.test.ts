// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LoginMeter } from "./login-meter.ts";

describe("LoginMeter", () => {
  it("counts, and tells the 99th percentile since the last look", () => {
    const meter = new LoginMeter();
    assert.equal(meter.takeP99(), 0);
    for (let ms = 1; ms <= 200; ms++) meter.note(ms % 10 !== 0, ms);
    assert.deepEqual([meter.answered, meter.failed, meter.takeP99()], [200, 20, 198]);
    assert.equal(meter.takeP99(), 0, "nothing new");
    meter.note(true, 7.4);
    assert.deepEqual([meter.answered, meter.takeP99()], [201, 7]);
  });

  it("keeps the latest when there are many", () => {
    const meter = new LoginMeter();
    for (let at = 0; at < 1_000; at++) meter.note(true, 60_000);
    for (let at = 0; at < 1_024; at++) meter.note(true, 5);
    assert.deepEqual([meter.answered, meter.takeP99()], [2_024, 5]);
  });
});
