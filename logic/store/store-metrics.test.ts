// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Metrics } from "#lib/metrics.ts";
import { observeStatements } from "./store-metrics.ts";

it("statements are timed by name, and those that fail are counted by code", async () => {
  const metrics = new Metrics();
  const observe = observeStatements(metrics);
  assert.match(await metrics.render(), /im_store_errors_total\{code="RETRYABLE"\} 0\n/, "the first one is an increase");
  observe("read_inbox", 3, undefined);
  observe("read_inbox", 300, new ImError(ErrorCode.RETRYABLE, "gone"));
  const text = await metrics.render();
  assert.match(text, /im_store_query_duration_seconds_bucket\{le="0.01",query="read_inbox"\} 1\n/);
  assert.match(text, /im_store_query_duration_seconds_sum\{query="read_inbox"\} 0\.303\n/);
  assert.match(text, /im_store_errors_total\{code="RETRYABLE"\} 1\n/);
});
