// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runSteps, type Step } from "./steps.ts";

function clock(): () => number {
  let nowMs = 0;
  return () => {
    nowMs += 10;
    return nowMs;
  };
}

const step = (name: string, run: Step["run"]): Step => ({ name, run, remedy: `look at ${name}` });
const never = new AbortController().signal;

describe("the steps of a probe", () => {
  it("are reported in order, with times and what they found", async () => {
    const steps = [step("a", async () => ({ tls: "TLSv1.3" })), step("b", async () => undefined)];
    assert.deepEqual(await runSteps(steps, never, clock()), {
      ok: true,
      totalMs: 50,
      steps: [
        { step: "a", ok: true, ms: 10, tls: "TLSv1.3" },
        { step: "b", ok: true, ms: 10 },
      ],
    });
  });

  it("end with the first that fails, with its remedy", async () => {
    let ran = 0;
    const steps = [
      step("a", () => Promise.reject(new Error("refused"))),
      step("b", async () => {
        ran++;
        return undefined;
      }),
    ];
    const report = await runSteps(steps, never, clock());
    assert.deepEqual(report.steps, [{ step: "a", ok: false, ms: 10, error: "refused", remedy: "look at a" }]);
    assert.deepEqual([report.ok, ran], [false, 0]);
  });

  it("are not begun when the time is up", async () => {
    const report = await runSteps([step("a", async () => undefined)], AbortSignal.abort(new Error("60 s")), clock());
    assert.deepEqual(
      report.steps.map(({ ok, error }) => [ok, error]),
      [[false, "not done in time: 60 s"]],
    );
  });

  it("say that the time was up when it ended one of them", async () => {
    const stop = new AbortController();
    const hangs = step("a", async () => {
      stop.abort(new Error("60 s"));
      throw new Error("aborted");
    });
    const report = await runSteps([hangs, step("b", async () => undefined)], stop.signal, clock());
    assert.deepEqual([report.ok, report.steps.length, report.steps[0]?.error], [false, 1, "not done in time: 60 s"]);
  });
});
