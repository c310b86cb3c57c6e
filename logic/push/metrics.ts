// SPDX-License-Identifier: Apache-2.0
import type { Metrics } from "#lib/metrics.ts";
import { tenantCounter } from "../tenant/tenant-counts.ts";

/** Everything the extlogic process counts. */
export type PushMetrics = ReturnType<typeof createPushMetrics>;

/** Why pushes are given up: 12 failed tries or too old; no intent at all; refused by every step; the same for a later step. */
const DEAD_LETTER_REASONS = ["exhausted", "malformed", "rejected", "scheduled"] as const;
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

/** Registers the metrics of the extlogic process. */
export function createPushMetrics(metrics: Metrics) {
  const deadLetters = metrics.counter("im_push_dead_letters_total", "Intents given up, by reason.", ["reason"]);
  // A series that begins with its first event shows Prometheus no increase, and the alert would miss it.
  for (const reason of DEAD_LETTER_REASONS) deadLetters.inc({ reason }, 0);
  return {
    pushes: metrics.counter("im_push_total", "Pushes by provider and result; open, full and cancelled made no call.", [
      "provider",
      "result",
    ]),
    byTenant: tenantCounter(
      metrics,
      "im_push_by_tenant_total",
      "Pushes that a provider took, by the tenant of the user.",
    ),
    causes: metrics.counter("im_push_by_cause_total", "Push intents by why they came and what became of them.", [
      "cause",
      "result",
    ]),
    reconciledAppends: metrics.counter(
      "im_push_reconciled_appends_total",
      "Transactions of messages whose recipients were looked at some seconds later.",
    ),
    owed: metrics.counter("im_push_owed_total", "Late pushes found: nobody acknowledged or pushed in time."),
    steps: metrics.counter("im_push_steps_total", "Delayed or repeated steps, and those held back, by channel.", [
      "channel",
      "result",
    ]),
    invalidTokens: metrics.counter("im_push_invalid_tokens_total", "Addresses that the provider called dead.", [
      "provider",
    ]),
    seconds: metrics.histogram("im_push_duration_seconds", "One provider call.", ["provider"]),
    breakerOpen: metrics.gauge("im_push_breaker_open", "1 while calls to the provider are held back.", ["provider"]),
    running: metrics.gauge("im_push_running", "Calls to the provider under way.", ["provider"]),
    waiting: metrics.gauge("im_push_waiting", "Pushes that wait for a place at the provider.", ["provider"]),
    deadLetters,
    claimed: metrics.counter("im_push_claimed_total", "Intents taken over from a consumer that went away."),
    faults: metrics.counter("im_push_faults_total", "Rounds that failed because Redis or SQL was away."),
  };
}

/** What is read from the running extlogic when Prometheus asks. */
export interface PushGauges {
  streamLength(): number;
  streamOldestMs(): number;
  stepsWaiting(): number;
  stepsOverdueMs(): number;
}

/** Adds the gauges of the extlogic process. */
export function observePushes(metrics: Metrics, gauges: PushGauges): void {
  const inSeconds = (readMs: () => number) => () => readMs() / 1000;
  metrics.gaugeOf("im_push_stream_length", "Push intents not finished.", gauges.streamLength);
  metrics.gaugeOf("im_push_stream_oldest_seconds", "Age of the oldest push intent.", inSeconds(gauges.streamOldestMs));
  metrics.gaugeOf("im_push_steps_waiting", "Delayed or repeated steps, at most 10000.", gauges.stepsWaiting);
  metrics.gaugeOf(
    "im_push_steps_overdue_seconds",
    "Age of the oldest step whose time has come.",
    inSeconds(gauges.stepsOverdueMs),
  );
}
