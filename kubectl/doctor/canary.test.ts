// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CanaryReport, canaryFindings } from "./canary.ts";

const REPORT: CanaryReport = {
  ...{ pod: "demo-entry-a", cutAfterMs: undefined, lastArrivalMs: undefined, arrivals: 0, dials: 90, failures: 0 },
  watchedMs: 10_000,
};
const findings = (over: Partial<CanaryReport>) => canaryFindings({ ...REPORT, ...over }, 2_000);

describe("canaryFindings", () => {
  it("are in order when nothing was cut and nobody came late", () => {
    assert.deepEqual(
      findings({}).map(({ verdict, text }) => [verdict, text]),
      [
        ["ok", "stayed open for the 10s in which demo-entry-a was not ready"],
        ["ok", "none of 90 reached demo-entry-a any more"],
      ],
    );
    const [, late] = findings({ arrivals: 8, lastArrivalMs: 1_230 });
    assert.deepEqual(
      [late?.verdict, late?.text],
      [
        "ok",
        "8 of 90 still reached demo-entry-a, the last one 1.2 s after it was not ready; drains wait 2.0 s for that",
      ],
    );
  });

  it("name the setting when new connections come later than drains wait", () => {
    const [, late] = findings({ arrivals: 40, lastArrivalMs: 14_700 });
    assert.equal(late?.verdict, "warning");
    assert.match(late?.remedy ?? "", /after 2\.0 s: set spec\.entry\.drain\.lbDetach to 16s\.$/);
  });

  it("say that the network cuts, and that dials failed", () => {
    const [cut, , failed] = findings({ cutAfterMs: 400, failures: 3 });
    assert.deepEqual([cut?.verdict, cut?.text], ["bad", "was cut 0.4 s after demo-entry-a was not ready"]);
    assert.match(cut?.remedy ?? "", /Cilium.*AWS NLB/s);
    assert.deepEqual([failed?.verdict, failed?.text], ["bad", "3 of 90 failed"]);
  });
});
