// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Breaker } from "./breaker.ts";

const OPTIONS = { failures: 3, minOpenMs: 1000, maxOpenMs: 8000 };
const breaker = (random = 0): Breaker => new Breaker({ ...OPTIONS, random: () => random });

function openOf(one: Breaker, nowMs: number): number {
  const answer = one.ask(nowMs);
  return answer.kind === "go" ? 0 : answer.untilMs - nowMs;
}

describe("Breaker", () => {
  it("opens after failures in a row only", () => {
    const one = breaker();
    for (const result of ["fail", "fail", "ok", "fail", "fail"]) {
      assert.equal(openOf(one, 0), 0);
      if (result === "ok") one.succeed();
      else one.fail(0);
    }
    assert.equal(one.state, "closed");
    one.fail(0);
    assert.equal(one.state, "open");
    assert.equal(openOf(one, 0), 1000);
  });

  it("lets one trial through, which decides", () => {
    const one = breaker();
    for (let n = 0; n < 3; n++) one.fail(0);
    assert.equal(openOf(one, 1000), 0);
    assert.equal(one.state, "trial");
    assert.ok(openOf(one, 1000) > 0, "others wait for the trial");
    one.succeed();
    assert.equal(one.state, "closed");
    assert.equal(openOf(one, 1000), 0);
  });

  it("stays open longer each time, up to its limit", () => {
    const one = breaker(1);
    const pauses: number[] = [];
    for (let n = 0; n < 3; n++) one.fail(0);
    let nowMs = 0;
    for (let n = 0; n < 6; n++) {
      const pauseMs = openOf(one, nowMs);
      pauses.push(pauseMs);
      nowMs += pauseMs;
      assert.equal(openOf(one, nowMs), 0);
      one.fail(nowMs);
    }
    assert.deepEqual(pauses, [1000, 2000, 4000, 8000, 8000, 8000]);
  });

  it("opens at once, and for as long as asked, on Retry-After", () => {
    const one = breaker();
    one.fail(0, 30_000);
    assert.equal(openOf(one, 0), 30_000);
    one.fail(0, 60_000);
    assert.equal(openOf(one, 0), 60_000, "a later answer may ask for more");
    one.succeed();
    assert.equal(openOf(one, 0), 60_000, "an older call's success does not close it");
  });

  it("does not stay open because of a trial that never came back", () => {
    const one = breaker();
    for (let n = 0; n < 3; n++) one.fail(0);
    assert.equal(openOf(one, 1000), 0);
    assert.equal(openOf(one, 31_000), 0);
    one.cancel(31_000);
    assert.equal(openOf(one, 31_000), 0);
  });

  it("never lets through more than one call while it is not closed, and always recovers", () => {
    const event = fc.constantFrom("ask", "ok", "fail", "retry", "wait");
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), fc.nat(1000), (events, seed) => {
        const one = breaker(seed / 1001);
        let nowMs = 0;
        let trials = 0;
        const act: Record<string, () => void> = {
          wait: () => (nowMs += 700),
          ask: () => (trials += Number(one.ask(nowMs).kind === "go" && one.state === "trial")),
          ok: () => one.succeed(),
          fail: () => one.fail(nowMs),
          retry: () => one.fail(nowMs, 5000),
        };
        for (const what of events) {
          act[what]?.();
          if (one.state !== "trial") trials = 0;
          assert.ok(trials <= 1 + Math.floor(nowMs / 30_000), "one trial at a time");
        }
        nowMs += 100_000;
        assert.equal(one.ask(nowMs).kind, "go");
        one.succeed();
        assert.equal(one.state, "closed");
      }),
    );
  });
});
