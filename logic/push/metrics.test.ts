// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { Metrics } from "#lib/metrics.ts";
import { createPushMetrics } from "./metrics.ts";

it("pushes given up are counted from 0: the first of them is an increase, for which there is an alert", async () => {
  const metrics = new Metrics();
  createPushMetrics(metrics);
  const text = await metrics.render();
  for (const reason of ["exhausted", "malformed", "rejected", "scheduled"]) {
    assert.ok(text.includes(`im_push_dead_letters_total{reason="${reason}"} 0\n`), reason);
  }
});
