// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Clock, FakeClock } from "#lib/clock.ts";
import type { Session } from "./session.ts";
import { SessionPace } from "./session-pace.ts";

const session = (): Session => ({}) as Session;

describe("the pace of a session", () => {
  it("is each session's own, and says how long to wait", () => {
    const clock = new FakeClock();
    const pace = new SessionPace({ perSecond: 2, burst: 2, clock });
    const [one, other] = [session(), session()];
    assert.deepEqual([pace.take(one), pace.take(one), pace.take(one), pace.take(other)], [0, 0, 500, 0]);
    clock.advance(500);
    assert.deepEqual([pace.take(one), pace.take(one)], [0, 500]);
  });

  it("refuses also when the next one may come in the moment of the refusal", () => {
    let nowMs = 0;
    let stepMs = 0;
    const ticking: Pick<Clock, "nowMs"> = { nowMs: () => (nowMs += stepMs) };
    const pace = new SessionPace({ perSecond: 1, burst: 1, clock: ticking as Clock });
    const one = session();
    assert.equal(pace.take(one), 0);
    stepMs = 600;
    assert.equal(pace.take(one), 1);
  });
});
