// SPDX-License-Identifier: Apache-2.0
import type { Metrics } from "#lib/metrics.ts";

/** What the webhooks of a process count. */
export type HookMetrics = ReturnType<typeof createHookMetrics>;

/** Registers them. */
export function createHookMetrics(metrics: Metrics) {
  return {
    events: metrics.counter("im_hook_events_total", "Events told to webhooks, and those given up.", ["hook", "result"]),
    calls: metrics.counter("im_hook_calls_total", "Calls of webhooks by what came of them; open made no call.", [
      "hook",
      "result",
    ]),
    seconds: metrics.histogram("im_hook_call_duration_seconds", "One call of a webhook.", ["hook"]),
    oldest: metrics.gauge("im_hook_oldest_seconds", "Age of the oldest event that the webhook was not told of.", [
      "hook",
    ]),
    dead: metrics.gauge("im_hook_dead", "Events that the webhook did not take, and that nobody has replayed.", [
      "hook",
    ]),
    outboxOldest: metrics.gauge("im_hook_outbox_oldest_seconds", "Age of the oldest fact that is not in the log yet."),
    expired: metrics.counter(
      "im_hook_expired_total",
      "Events that became too old before all webhooks were told of them.",
    ),
    badAnswers: metrics.counter(
      "im_hook_bad_answers_total",
      "Answers that were to hold verdicts and could not be read.",
      ["hook"],
    ),
    faults: metrics.counter("im_hook_faults_total", "Rounds that failed because SQL was away."),
  };
}
