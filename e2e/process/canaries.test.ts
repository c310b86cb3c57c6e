// SPDX-License-Identifier: Apache-2.0
// What is private is in no log, metric, answer to others, environment or crash of any process, nor in Redis.
import assert from "node:assert/strict";
import { it } from "node:test";
import { describeHits } from "../security/canaries/canary-set.ts";
import { runCanaries } from "../security/canaries/run.ts";

it("200 canaries by every path are found nowhere, and nobody writes lines into a log", async () => {
  const { hits, forged, ...figures } = await runCanaries();
  console.log(JSON.stringify({ ...figures, hits: hits.length }));
  assert.ok(figures.canaries >= 200, String(figures.canaries));
  assert.equal(describeHits(hits), "");
  assert.deepEqual(forged, []);
});
