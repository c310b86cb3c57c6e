// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, errorCodeName } from "#lib/errors.ts";
import type { Metrics } from "#lib/metrics.ts";
import type { QueryObserver } from "./postgres-pool.ts";

/** There is a histogram for each statement: few buckets, from a lookup to a statement that is given up. */
const BUCKETS = [0.002, 0.01, 0.05, 0.25, 1, 5];

/** Registers what is known of statements, and tells it; their names are those of the code, so there are not more of them. */
export function observeStatements(metrics: Metrics): QueryObserver {
  const help = "One statement, with the wait for a connection and with repetitions.";
  const seconds = metrics.histogram("im_store_query_duration_seconds", help, ["query"], BUCKETS);
  const errors = metrics.counter("im_store_errors_total", "Statements that failed, by code.", ["code"]);
  for (const code of [ErrorCode.BUSY, ErrorCode.RETRYABLE, ErrorCode.INTERNAL]) {
    errors.inc({ code: errorCodeName(code) }, 0);
  }
  return (query, durationMs, error) => {
    seconds.observe({ query }, durationMs / 1000);
    if (error) errors.inc({ code: errorCodeName(error.code) });
  };
}
