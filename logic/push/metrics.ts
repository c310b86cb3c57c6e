// SPDX-License-Identifier: Apache-2.0
import type { Metrics } from "#lib/metrics.ts";

/** Everything the extlogic process counts. */
export type PushMetrics = ReturnType<typeof createPushMetrics>;

/** Registers the metrics of the extlogic process. */
export function createPushMetrics(metrics: Metrics) {
  return {
    pushes: metrics.counter("im_push_total", "Push intents by provider and what became of them.", [
      "provider",
      "result",
    ]),
    causes: metrics.counter("im_push_by_cause_total", "Push intents by why they came and what became of them.", [
      "cause",
      "result",
    ]),
    reconciledAppends: metrics.counter(
      "im_push_reconciled_appends_total",
      "Transactions of messages whose recipients were looked at some seconds later.",
    ),
    owed: metrics.counter("im_push_owed_total", "Late pushes found: nobody acknowledged or pushed in time."),
    seconds: metrics.histogram("im_push_duration_seconds", "One provider call, retries included.", ["provider"]),
    deadLetters: metrics.counter("im_push_dead_letters_total", "Intents given up, by reason.", ["reason"]),
    claimed: metrics.counter("im_push_claimed_total", "Intents taken over from a consumer that went away."),
    faults: metrics.counter("im_push_faults_total", "Rounds that failed because Redis or SQL was away."),
  };
}
