// SPDX-License-Identifier: Apache-2.0
import type { Metrics } from "#lib/metrics.ts";
import type { ImCluster } from "./api/v1alpha1.ts";
import { type ClusterMetrics, createClusterMetrics, observeGenerations } from "./cluster-metrics.ts";
import type { ReflectorMetrics } from "./kube/reflector.ts";
import type { WorkQueueMetrics } from "./kube/work-queue.ts";

/** Every metric of the operator, in one place. */
export interface OperatorMetrics extends ClusterMetrics {
  queue: WorkQueueMetrics;
  reflectors: ReflectorMetrics;
  onAction(kind: string): void;
  onEviction(answer: string): void;
  onApiCall(call: { method: string; kind: string; status: number; durationMs: number }): void;
}

export function createOperatorMetrics(metrics: Metrics): OperatorMetrics {
  return {
    queue: queueMetrics(metrics),
    reflectors: reflectorMetrics(metrics),
    onAction: actionMetric(metrics),
    onEviction: evictionMetric(metrics),
    onApiCall: apiMetrics(metrics),
    ...createClusterMetrics(metrics),
  };
}

/** Adds what is read from the running operator. */
export function observeOperator(
  metrics: Metrics,
  gauges: { isLeader(): boolean; clusters(): readonly ImCluster[] },
): void {
  metrics.gaugeOf("im_operator_leader", "1 while this process leads.", () => Number(gauges.isLeader()));
  observeGenerations(metrics, gauges.clusters);
}

function queueMetrics(metrics: Metrics): WorkQueueMetrics {
  const total = metrics.counter("im_operator_reconcile_total", "Passes over an ImCluster.", ["result"]);
  const seconds = metrics.histogram("im_operator_reconcile_duration_seconds", "Time of one pass.", ["result"]);
  const depth = metrics.gauge("im_operator_queue_depth", "ImClusters that wait for a worker.");
  const wait = metrics.histogram("im_operator_queue_wait_seconds", "Time that an ImCluster waited for a worker.");
  return {
    depth: (keys) => depth.set(keys),
    waited: (durationMs) => wait.observe(durationMs / 1000),
    processed: (durationMs, result) => {
      total.inc({ result });
      seconds.observe({ result }, durationMs / 1000);
    },
  };
}

function reflectorMetrics(metrics: Metrics): ReflectorMetrics {
  const restarts = metrics.counter("im_operator_watch_restarts_total", "Watches started again.", ["kind", "cause"]);
  const failures = metrics.counter("im_operator_watch_handler_failures_total", "Handlers that threw.", ["kind"]);
  const invalid = metrics.counter("im_operator_watch_invalid_lines_total", "Watch lines that were no event.", ["kind"]);
  const lists = metrics.histogram("im_operator_list_duration_seconds", "Time of a full list.", ["kind"]);
  return {
    restarted: (kind, cause) => restarts.inc({ kind, cause }),
    handlerFailed: (kind) => failures.inc({ kind }),
    invalidLine: (kind) => invalid.inc({ kind }),
    listed: (kind, _objects, durationMs) => lists.observe({ kind }, durationMs / 1000),
  };
}

function actionMetric(metrics: Metrics): (kind: string) => void {
  const actions = metrics.counter("im_operator_actions_total", "Writes and calls that changed something.", ["action"]);
  return (action) => actions.inc({ action });
}

function evictionMetric(metrics: Metrics): (answer: string) => void {
  const answers = metrics.counter("im_operator_evictions_total", "Evictions asked about, by answer.", ["answer"]);
  return (answer) => answers.inc({ answer });
}

function apiMetrics(metrics: Metrics): OperatorMetrics["onApiCall"] {
  const labels = ["method", "kind", "status"] as const;
  const calls = metrics.counter("im_operator_api_calls_total", "Calls of the Kubernetes API.", labels);
  const seconds = metrics.histogram("im_operator_api_call_duration_seconds", "Time of a call.", ["method"]);
  return ({ method, kind, status, durationMs }) => {
    calls.inc({ method, kind, status: String(status) });
    seconds.observe({ method }, durationMs / 1000);
  };
}
