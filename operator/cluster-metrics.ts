// SPDX-License-Identifier: Apache-2.0
// What the operator tells of each ImCluster: every figure has its namespace and name, so that an alert says whose it is.
import type { Gauge, Metrics } from "#lib/metrics.ts";
import { CONDITION_TYPES, conditionOf } from "./api/conditions.ts";
import type { ImCluster, ImClusterStatus } from "./api/v1alpha1.ts";
import { DRAIN_REASONS, type DrainIntent } from "./imcluster/drain.ts";
import { wantedBy } from "./imcluster/wanted.ts";

const PHASES = ["Pending", "Ready", "Scaling", "Updating", "Degraded", "Hibernated", "Paused", "Deleting"] as const;
const ENTRY_STATES = ["wanted", "ready", "draining"] as const;
const WORKLOAD_STATES = ["wanted", "ready"] as const;
/** Why an update waits; for approval and its window it may wait for days, and nothing is wrong. */
const BLOCKADES = ["ApprovalNeeded", "OutsideWindow", "CanaryFailed", "NoRoom"] as const;
const OUTCOMES = ["returned", "absent", "forced", "unknown"] as const;
const CLUSTER = ["namespace", "name"] as const;

/** Of one ImCluster. */
interface Of {
  namespace: string;
  name: string;
}

/** What passes report here. */
export interface ClusterMetrics {
  /** @param status undefined: the ImCluster is gone, and so are its figures */
  onStatus(cluster: ImCluster, status: ImClusterStatus | undefined): void;
  onDrained(cluster: ImCluster, intent: DrainIntent): void;
  /** Routes of entries that no longer exist were removed. */
  onGhosts(cluster: ImCluster, removed: number): void;
}

export function createClusterMetrics(metrics: Metrics): ClusterMetrics {
  const states = stateMetrics(metrics);
  const drains = drainMetrics(metrics);
  const help = "Routes of entries that no longer existed, removed.";
  const ghosts = metrics.counter("im_operator_ghost_routes_removed_total", help, CLUSTER);
  const known = new Set<string>();
  return {
    onStatus: (cluster, status) => {
      const of = identityOf(cluster);
      const key = `${of.namespace}/${of.name}`;
      if (!status) {
        known.delete(key);
        for (const one of [states, drains]) one.forget(of);
        ghosts.remove(of);
        return;
      }
      states.set(of, cluster, status);
      if (!known.has(key)) drains.begin(of);
      known.add(key);
    },
    onDrained: (cluster, intent) => drains.ended(identityOf(cluster), intent),
    onGhosts: (cluster, count) => ghosts.inc(identityOf(cluster), count),
  };
}

/**
 * How far behind each ImCluster is. Read from what the API server says, when Prometheus asks: also where no pass comes as far as
 * its end, and in a candidate that does not lead.
 */
export function observeGenerations(metrics: Metrics, clusters: () => readonly ImCluster[]): void {
  const help = "Spec changes that no status speaks of yet.";
  metrics.gaugesBy("im_cluster_generation_lag", help, CLUSTER, () =>
    clusters().map((cluster) => {
      const { metadata, status } = cluster;
      return [identityOf(cluster), (metadata.generation ?? 0) - (status?.observedGeneration ?? 0)] as const;
    }),
  );
}

function identityOf({ metadata: { namespace = "", name } }: ImCluster): Of {
  return { namespace, name };
}

/** Why an update waits, if it does. */
function blockadeOf({ conditions }: ImClusterStatus): string | undefined {
  const blockade = conditionOf(conditions, "UpdateBlocked");
  return blockade?.status === "True" ? blockade.reason : undefined;
}

function setWorkload(
  gauge: Gauge<keyof Of | "state">,
  of: Of,
  { replicas, ready }: { replicas?: number; ready?: number } = {},
): void {
  gauge.set({ ...of, state: "wanted" }, replicas ?? 0);
  gauge.set({ ...of, state: "ready" }, ready ?? 0);
}

function stateMetrics(metrics: Metrics) {
  const phase = metrics.gauge("im_cluster_phase", "1 for the present phase, 0 for the others.", [...CLUSTER, "phase"]);
  const condition = metrics.gauge("im_cluster_condition", "1 while the condition is True, 0 while it is not.", [
    ...CLUSTER,
    "condition",
  ]);
  const blocked = metrics.gauge("im_cluster_update_blocked", "1 while an update waits for this reason, else 0.", [
    ...CLUSTER,
    "reason",
  ]);
  const entries = metrics.gauge("im_cluster_entries", "Entry pods by state.", [...CLUSTER, "state"]);
  const logic = metrics.gauge("im_cluster_logic", "Logic pods by state.", [...CLUSTER, "state"]);
  const extlogic = metrics.gauge("im_cluster_extlogic", "Extlogic pods by state.", [...CLUSTER, "state"]);
  const sessions = metrics.gauge("im_cluster_sessions", "Authenticated connections.", CLUSTER);
  const ghostsHelp = "Routes of entries that no longer exist, not removed yet.";
  const ghosts = metrics.gauge("im_operator_ghost_routes", ghostsHelp, CLUSTER);
  return {
    set(of: Of, cluster: ImCluster, status: ImClusterStatus): void {
      for (const one of PHASES) phase.set({ ...of, phase: one }, Number(one === status.phase));
      for (const { type, status: said } of status.conditions ?? []) {
        condition.set({ ...of, condition: type }, Number(said === "True"));
      }
      const waitsFor = blockadeOf(status);
      for (const reason of BLOCKADES) blocked.set({ ...of, reason }, Number(reason === waitsFor));
      entries.set({ ...of, state: "wanted" }, wantedBy(cluster, cluster.spec));
      entries.set({ ...of, state: "ready" }, status.entry?.ready ?? 0);
      entries.set({ ...of, state: "draining" }, status.entry?.draining ?? 0);
      setWorkload(logic, of, status.logic);
      setWorkload(extlogic, of, status.extlogic);
      sessions.set(of, status.entry?.sessions ?? 0);
      ghosts.set(of, status.router?.ghostRoutes ?? 0);
    },
    forget(of: Of): void {
      for (const one of PHASES) phase.remove({ ...of, phase: one });
      for (const one of CONDITION_TYPES) condition.remove({ ...of, condition: one });
      for (const reason of BLOCKADES) blocked.remove({ ...of, reason });
      for (const state of ENTRY_STATES) entries.remove({ ...of, state });
      for (const gauge of [logic, extlogic]) for (const state of WORKLOAD_STATES) gauge.remove({ ...of, state });
      for (const gauge of [sessions, ghosts]) gauge.remove(of);
    },
  };
}

function drainMetrics(metrics: Metrics) {
  const drains = metrics.counter("im_operator_drains_total", "Drains that ended.", [...CLUSTER, "reason"]);
  const sessions = metrics.counter("im_operator_drained_sessions_total", "Sessions of drained entries.", [
    ...CLUSTER,
    "outcome",
  ]);
  const offline = metrics.histogram("im_operator_drain_offline_seconds", "99th percentile of each drain.", CLUSTER);
  const left = metrics.counter("im_operator_drain_routes_left_total", "Routes left by drains: an alarm.", CLUSTER);
  return {
    /** A series that begins with its first event shows Prometheus no increase: it has to be there before. */
    begin(of: Of): void {
      for (const reason of DRAIN_REASONS) drains.inc({ ...of, reason }, 0);
      for (const outcome of OUTCOMES) sessions.inc({ ...of, outcome }, 0);
      offline.zero(of);
      left.inc(of, 0);
    },
    ended(of: Of, { reason, report }: DrainIntent): void {
      drains.inc({ ...of, reason });
      if (!report) return;
      for (const outcome of ["returned", "absent", "forced"] as const) {
        sessions.inc({ ...of, outcome }, report[outcome] ?? 0);
      }
      if (report.returned === undefined) sessions.inc({ ...of, outcome: "unknown" }, report.asked + report.forced);
      if (report.returned && report.offlineP99Ms !== undefined) offline.observe(of, report.offlineP99Ms / 1000);
      left.inc(of, report.routesLeft ?? 0);
    },
    forget(of: Of): void {
      for (const reason of DRAIN_REASONS) drains.remove({ ...of, reason });
      for (const outcome of OUTCOMES) sessions.remove({ ...of, outcome });
      offline.remove(of);
      left.remove(of);
    },
  };
}
