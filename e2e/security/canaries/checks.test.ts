// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isFinding } from "../checks.ts";
import { checksOfCanaries } from "./checks.ts";
import type { CanaryReport } from "./run.ts";

const FINE: CanaryReport = { canaries: 350, sorts: {}, places: 30, characters: 1000, hits: [], forged: [] };
const HIT = { sort: "message body", text: "cnry1", place: "logic-0.log", form: "plain", around: "a cnry1 b" };
const findings = (change: Partial<CanaryReport>) => checksOfCanaries({ ...FINE, ...change }).filter(isFinding);

describe("checks of canaries", () => {
  it("are fine when none was found", () => assert.deepEqual(findings({}), []));

  it("are red for a hit, a forged line, and a run that placed too few", () => {
    const [hit, ...others] = findings({ hits: [HIT] });
    assert.deepEqual([hit?.fault, others], ["high", []]);
    assert.match(hit?.detail ?? "", /logic-0\.log: a message body \(plain\)/);
    assert.equal(findings({ forged: ["entry-0.log: a line"] }).length, 1);
    assert.equal(findings({ canaries: 199 }).length, 1);
  });
});
