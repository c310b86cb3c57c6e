// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AnswerMeter } from "./answer-meter.ts";

const at = (ms: number) => ({ nowMs: () => ms });

/** `count` messages of which each is answered after `ms(index)`. */
function talk(meter: AnswerMeter, count: number, ms: (index: number) => number, conn = 1): void {
  for (let index = 0; index < count; index++) {
    meter.sent(conn, index + 1, at(0));
    meter.answered(conn, index + 1, at(ms(index)));
  }
}

describe("AnswerMeter", () => {
  it("knows nothing from a few", () => {
    const meter = new AnswerMeter();
    assert.equal(meter.p99, 0);
    talk(meter, 99 * 8, () => 5);
    assert.equal(meter.p99, 0);
    talk(meter, 8, () => 5);
    assert.equal(meter.p99, 5);
  });

  it("tells the slowest one in a hundred of the latest", () => {
    const meter = new AnswerMeter();
    talk(meter, 512 * 8, (index) => (Math.floor(index / 8) % 50 === 0 ? 400 : 10));
    assert.equal(meter.p99, 400);
    talk(meter, 512 * 8, () => 20);
    assert.equal(meter.p99, 20);
  });

  it("times one of eight, and asks for the time only then", () => {
    const meter = new AnswerMeter();
    let asked = 0;
    const clock = { nowMs: () => ++asked };
    for (let rid = 1; rid <= 80; rid++) {
      meter.sent(1, rid, clock);
      meter.answered(1, rid, clock);
    }
    assert.equal(asked, 20);
  });

  it("counts no answer to something else, and none without a request", () => {
    const meter = new AnswerMeter();
    for (let index = 0; index < 200; index++) {
      meter.sent(1, 0, at(0));
      meter.sent(2, 8, at(0));
      meter.answered(2, 9, at(1_000));
      meter.answered(3, 8, at(1_000));
      meter.answered(1, 0, at(1_000));
    }
    assert.equal(meter.p99, 0);
  });

  it("keeps room for others when answers never come", () => {
    const meter = new AnswerMeter();
    for (let conn = 1; conn <= 8 * 64; conn++) meter.sent(conn, 1, at(0));
    for (let conn = 1_000; conn < 1_008; conn++) meter.sent(conn, 1, at(30_000));
    meter.answered(1_000, 1, at(30_001));
    talk(meter, 200 * 8, () => 60_500, 5_000);
    assert.equal(meter.p99, 0, "no place yet");
    for (let conn = 2_000; conn < 2_008; conn++) meter.sent(conn, 1, at(61_000));
    talk(meter, 200 * 8, () => 3, 6_000);
    assert.equal(meter.p99, 3, "those of a minute ago are forgotten");
  });
});
