// SPDX-License-Identifier: Apache-2.0
import type { ImCluster, ImClusterSpec } from "../api/v1alpha1.ts";
import { budgetLimits, drainLimits } from "./drain-limits.ts";
import { canonicalJson, hashOf } from "./hash.ts";
import { estimateMove, roughSeconds } from "./move-estimate.ts";
import { type BuildContext, buildContext } from "./resources/context.ts";
import { redisStatefulSet } from "./resources/datastores.ts";
import { entryRevision } from "./resources/entry-pod.ts";
import { extlogicDeployment } from "./resources/extlogic.ts";
import { logicDeployment } from "./resources/logic.ts";
import { migrationHash } from "./resources/migrate-job.ts";
import { entryService } from "./resources/services.ts";
import { updateLimits } from "./rollout.ts";
import { contentHashes } from "./secrets.ts";
import { durationMs } from "./units.ts";
import { isPaused, wantedBy } from "./wanted.ts";

/** What a change of the spec costs the users, or what is left of one that is under way. */
export interface UpdatePreview {
  /** What happens, a sentence each; empty when nothing that runs changes. */
  changes: string[];
  /** Sessions that reconnect, each once (with strategy Batched, now and then more than once). */
  sessionsAffected: number;
  /** From the change to its end, without waits for approval. */
  estimatedSeconds: number;
  peakReconnectsPerSecond: number;
  /** A person must agree first. */
  needsApproval: boolean;
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/**
 * What would happen if `spec` took the place of the spec of `cluster`. Pure; needs nothing but the object as the API server has it.
 *
 * @param cluster with its status: sessions per entry, image and version that run
 * @param spec with the defaults filled in, as a dry run of the API server returns it
 */
export function previewPlan(cluster: ImCluster, spec: ImClusterSpec): UpdatePreview {
  const preview = previewEdit(cluster, spec);
  const held = isPaused(cluster) && !isPaused({ ...cluster, spec }) ? cluster.status?.plan : undefined;
  return held ? withHeld(preview, held) : preview;
}

/** What was asked for during a pause begins with its end. Of sessions that both move each moves once: the larger figure counts. */
function withHeld(preview: UpdatePreview, held: UpdatePreview): UpdatePreview {
  const larger = (of: (one: UpdatePreview) => number) => Math.max(of(preview), of(held));
  return {
    changes: [...held.changes.map((change) => `held back by the pause: ${change}`), ...preview.changes],
    sessionsAffected: larger(({ sessionsAffected }) => sessionsAffected),
    estimatedSeconds: larger(({ estimatedSeconds }) => estimatedSeconds),
    peakReconnectsPerSecond: larger(({ peakReconnectsPerSecond }) => peakReconnectsPerSecond),
    needsApproval: preview.needsApproval || held.needsApproval,
  };
}

/** Compares what the two specs ask for. */
function previewEdit(cluster: ImCluster, spec: ImClusterSpec): UpdatePreview {
  const [before, after] = [contextOf(cluster, cluster.spec), contextOf(cluster, spec)];
  const isRolled = entryRevision(before) !== entryRevision(after);
  const moved = movedSessions(cluster, spec, isRolled);
  const { approval, canary } = spec.entry.update;
  const replicas = wantedBy(cluster, spec);
  const limits = updateLimits(spec.entry, replicas);
  const isReplaced = isRolled && limits.strategy !== "OnDelete";
  const added = Math.max(0, replicas - wantedBy(cluster, cluster.spec));
  const { seconds, peakPerSecond } = estimateMove({
    leavers: moved.map((sessions) => ({ phase: undefined, leftMs: 0, initial: sessions, waiting: sessions })),
    ...{ starts: isReplaced ? replicas : added, fresh: 0, replicas, update: limits, isUpdate: isReplaced },
    ...{ drain: drainLimits({ ...cluster, spec }), budget: budgetLimits({ spec }) },
  });
  const sessionsAffected = sum(moved);
  return {
    changes: [...paused(spec), ...others(before, after), ...entryChanges(cluster, spec, isRolled)],
    sessionsAffected,
    estimatedSeconds: roughSeconds(seconds) + (isReplaced && canary ? Math.round(durationMs(canary.soak) / 1000) : 0),
    peakReconnectsPerSecond: peakPerSecond,
    needsApproval: isReplaced && approval.mode === "Manual" && sessionsAffected > approval.manualAboveSessions,
  };
}

/** Only for comparing: what Secrets hold is the same on both sides. */
function contextOf(cluster: ImCluster, spec: ImClusterSpec): BuildContext {
  const { image = "imcluster:0.0.0", version = "0.0.0" } = cluster.status ?? {};
  const unchanged = {
    ...{ postgresImage: "postgres", redisImage: "redis" },
    ...{ clusterDomain: "cluster.local", operatorNamespace: "default" },
  };
  const config = { operandImage: image, operatorVersion: version, ...unchanged };
  const changed: ImCluster = { ...cluster, spec };
  const storage = spec.postgres.urlSecretRef ? { kind: "external" as const } : { kind: "pod" as const };
  return buildContext(changed, config, contentHashes(changed, new Map()), storage);
}

/** Sessions on each pod that goes. The status names fifty pods: the others count as full as these on average. */
function movedSessions(cluster: ImCluster, spec: ImClusterSpec, isRolled: boolean): number[] {
  const { entry, pods = [] } = cluster.status ?? {};
  const known = pods.map(({ sessions = 0 }) => sessions).sort((a, b) => a - b);
  const missing = Math.max(0, (entry?.replicas ?? known.length) - known.length);
  const rest = Math.max(0, (entry?.sessions ?? 0) - sum(known));
  const all = [...known, ...Array.from({ length: missing }, () => Math.round(rest / missing))];
  if (isRolled && spec.entry.update.strategy !== "OnDelete") return all;
  return all.slice(0, Math.max(0, wantedBy(cluster, cluster.spec) - wantedBy(cluster, spec)));
}

const count = (pods: number) => `${pods} ${pods === 1 ? "pod" : "pods"}`;
const roll = (pods: number) => `${count(pods)} ${pods === 1 ? "rolls" : "roll"}`;

function paused({ paused: isPaused }: ImClusterSpec): string[] {
  return isPaused ? ["nothing happens while spec.paused is true"] : [];
}

function entryChanges(cluster: ImCluster, spec: ImClusterSpec, isRolled: boolean): string[] {
  const [before, after] = [wantedBy(cluster, cluster.spec), wantedBy(cluster, spec)];
  const { strategy } = spec.entry.update;
  const scaled = after === before ? [] : [`entries: ${before} become ${after}`];
  if (!isRolled) return scaled;
  return [
    ...scaled,
    strategy === "OnDelete"
      ? "entries: each is replaced when its pod is deleted (OnDelete)"
      : `entries: ${Math.min(before, after)} are replaced (${strategy})`,
  ];
}

/** What changes besides the entry pods; none of it cuts a connection. */
function others(before: BuildContext, after: BuildContext): string[] {
  const differs = <T>(build: (context: BuildContext) => T): boolean =>
    canonicalJson(build(before)) !== canonicalJson(build(after));
  const template = (build: typeof logicDeployment) => (context: BuildContext) => hashOf(build(context).spec.template);
  const [logic, extlogic] = [after.cluster.spec.logic.replicas, after.cluster.spec.extlogic.replicas];
  const isRedisOurs = (context: BuildContext) => context.cluster.spec.redis.urlSecretRef === undefined;
  return [
    ...(differs(migrationHash) ? ["the database is migrated first"] : []),
    ...(differs(template(logicDeployment)) ? [`logic: ${roll(logic)}; connections stay`] : []),
    ...(differs(({ cluster }) => cluster.spec.logic.replicas) ? [`logic: ${count(logic)}`] : []),
    ...(differs(template(extlogicDeployment)) ? [`extlogic: ${roll(extlogic)}`] : []),
    ...(differs(({ cluster }) => cluster.spec.extlogic.replicas) ? [`extlogic: ${count(extlogic)}`] : []),
    ...(isRedisOurs(before) && isRedisOurs(after) && differs((context) => redisStatefulSet(context).spec)
      ? ["the embedded Redis restarts: routes are announced again"]
      : []),
    ...(differs((context) => entryService(context).spec) ? ["the Service of the entries changes"] : []),
  ];
}
