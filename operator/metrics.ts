// SPDX-License-Identifier: Apache-2.0
import type { Metrics } from "#lib/metrics.ts";
import type { ImCluster, ImClusterStatus } from "./api/v1alpha1.ts";
import type { DrainIntent } from "./imcluster/drain.ts";
import { wantedBy } from "./imcluster/wanted.ts";
import type { ReflectorMetrics } from "./kube/reflector.ts";
import type { WorkQueueMetrics } from "./kube/work-queue.ts";

const PHASES = ["Pending", "Ready", "Scaling", "Updating", "Degraded", "Hibernated", "Paused", "Deleting"] as const;

/** Every metric of the operator, in one place. */
export interface OperatorMetrics {
  queue: WorkQueueMetrics;
  reflectors: ReflectorMetrics;
  onAction(kind: string): void;
  onDrained(cluster: ImCluster, intent: DrainIntent): void;
  onEviction(answer: string): void;
  onApiCall(call: { method: string; kind: string; status: number; durationMs: number }): void;
  onStatus(cluster: ImCluster, status: ImClusterStatus | undefined): void;
  /** Routes of entries that no longer exist were removed. */
  onGhosts(cluster: ImCluster, removed: number): void;
}

export function createOperatorMetrics(metrics: Metrics): OperatorMetrics {
  return {
    queue: queueMetrics(metrics),
    reflectors: reflectorMetrics(metrics),
    onAction: actionMetric(metrics),
    onDrained: drainMetrics(metrics),
    onEviction: evictionMetric(metrics),
    onApiCall: apiMetrics(metrics),
    onStatus: clusterMetrics(metrics),
    onGhosts: ghostMetric(metrics),
  };
}

/** Adds what is read from the running operator. */
export function observeOperator(metrics: Metrics, gauges: { isLeader(): boolean }): void {
  metrics.gaugeOf("im_operator_leader", "1 while this process leads.", () => Number(gauges.isLeader()));
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

function drainMetrics(metrics: Metrics): OperatorMetrics["onDrained"] {
  const drains = metrics.counter("im_operator_drains_total", "Drains that ended.", ["reason"]);
  const sessions = metrics.counter("im_operator_drained_sessions_total", "Sessions of drained entries.", ["outcome"]);
  const offline = metrics.histogram("im_operator_drain_offline_seconds", "99th percentile of each drain.", []);
  const left = metrics.counter("im_operator_drain_routes_left_total", "Routes left by drains: an alarm.", []);
  for (const outcome of ["returned", "absent", "forced", "unknown"]) sessions.inc({ outcome }, 0);
  left.inc({}, 0);
  return (_cluster, { reason, report }) => {
    drains.inc({ reason });
    if (!report) return;
    for (const outcome of ["returned", "absent", "forced"] as const) sessions.inc({ outcome }, report[outcome] ?? 0);
    if (report.returned === undefined) sessions.inc({ outcome: "unknown" }, report.asked + report.forced);
    if (report.returned && report.offlineP99Ms !== undefined) offline.observe({}, report.offlineP99Ms / 1000);
    left.inc({}, report.routesLeft ?? 0);
  };
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

function ghostMetric(metrics: Metrics): OperatorMetrics["onGhosts"] {
  const help = "Routes of entries that no longer existed, removed.";
  const removed = metrics.counter("im_operator_ghost_routes_removed_total", help, ["namespace", "name"]);
  return ({ metadata: { namespace = "", name } }, count) => removed.inc({ namespace, name }, count);
}

function clusterMetrics(metrics: Metrics): OperatorMetrics["onStatus"] {
  const labels = ["namespace", "name"] as const;
  const phase = metrics.gauge("im_cluster_phase", "1 for the present phase, 0 for the others.", [...labels, "phase"]);
  const lag = metrics.gauge("im_cluster_generation_lag", "Spec changes that no status speaks of yet.", labels);
  const entries = metrics.gauge("im_cluster_entries", "Entry pods by state.", [...labels, "state"]);
  const sessions = metrics.gauge("im_cluster_sessions", "Authenticated connections.", labels);
  const ghosts = metrics.gauge(
    "im_operator_ghost_routes",
    "Routes of entries that no longer exist, not removed yet.",
    labels,
  );
  return (cluster, status) => {
    const { name, namespace = "", generation = 0 } = cluster.metadata;
    const of = { namespace, name };
    if (!status) {
      for (const one of PHASES) phase.remove({ ...of, phase: one });
      for (const state of ["ready", "draining", "wanted"]) entries.remove({ ...of, state });
      lag.remove(of);
      sessions.remove(of);
      ghosts.remove(of);
      return;
    }
    for (const one of PHASES) phase.set({ ...of, phase: one }, one === status.phase ? 1 : 0);
    lag.set(of, generation - (status.observedGeneration ?? 0));
    entries.set({ ...of, state: "wanted" }, wantedBy(cluster, cluster.spec));
    entries.set({ ...of, state: "ready" }, status.entry?.ready ?? 0);
    entries.set({ ...of, state: "draining" }, status.entry?.draining ?? 0);
    sessions.set(of, status.entry?.sessions ?? 0);
    ghosts.set(of, status.router?.ghostRoutes ?? 0);
  };
}
