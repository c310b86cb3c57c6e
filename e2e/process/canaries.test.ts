// SPDX-License-Identifier: Apache-2.0
// What is private is in no log, metric, answer to others, environment or crash of any process, nor in Redis.
import assert from "node:assert/strict";
import { it } from "node:test";
import { checksOfCanaries } from "../security/canaries/checks.ts";
import { runCanaries } from "../security/canaries/run.ts";
import { isFinding, lineOf } from "../security/checks.ts";

it("200 canaries by every path are found nowhere, and nobody writes lines into a log", async () => {
  const report = await runCanaries();
  const { hits, forged, ...figures } = report;
  console.log(JSON.stringify({ ...figures, hits: hits.length, forged: forged.length }));
  assert.deepEqual(checksOfCanaries(report).filter(isFinding).map(lineOf), []);
});
