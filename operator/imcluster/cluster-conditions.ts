// SPDX-License-Identifier: Apache-2.0
import { type ConditionFacts, conditionOf } from "../api/conditions.ts";
import type { DrainStatus } from "../api/v1alpha1.ts";
import { drainLimits } from "./drain-limits.ts";
import { isSurgeShort } from "./entry-rollout.ts";
import { ANNOTATION } from "./names.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { entryPlanInput } from "./plan.ts";
import type { Situation } from "./situation.ts";
import { isEveryEntryFenced, isPaused, wantedEntries } from "./wanted.ts";

type Verdict = Omit<ConditionFacts, "type">;

const yes = (reason: string, message: string): Verdict => ({ status: "True", reason, message });
const no = (reason: string, message: string): Verdict => ({ status: "False", reason, message });
const unknown = (reason: string, message: string): Verdict => ({ status: "Unknown", reason, message });

export function entriesReady(observed: ObservedCluster, { ready, active, troubles }: Situation): Verdict {
  const replicas = wantedEntries(observed);
  if (ready >= replicas) return yes("AllReady", `all ${replicas} entries are ready`);
  const figures = `${ready} of ${replicas} entries are ready`;
  if (observed.createNotBeforeMs > observed.nowMs) {
    const next = new Date(observed.createNotBeforeMs).toISOString();
    return no(
      "CrashBackoff",
      `${figures}; ${observed.crashes} failed soon after their start, the next is made at ${next}`,
    );
  }
  if (troubles.length > 0) return no("NotReady", `${figures}; ${troubles.slice(0, 3).join("; ")}`);
  return active.length === 0 ? no("NotCreated", figures) : no("Starting", figures);
}

export function logicReady({ logic, migration }: Situation): Verdict {
  const figures = `${logic.ready} of ${logic.wanted} logic pods are ready`;
  if (logic.ready >= 1) return yes(logic.ready >= logic.wanted ? "AllReady" : "SomeReady", figures);
  if (!logic.exists && migration.state !== "complete")
    return no("WaitsForSchema", "logic pods are made once the schema is migrated");
  return no("NotReady", `${figures}; see: kubectl get pods -l app.kubernetes.io/component=logic`);
}

export function storeReady(observed: ObservedCluster, situation: Situation): Verdict {
  const isEmbedded = situation.postgresReady !== undefined;
  return datastoreReady(
    "PostgreSQL",
    "spec.postgres.urlSecretRef",
    observed.context.names.postgres,
    situation,
    isEmbedded,
    situation.postgresReady,
  );
}

export function routerReady(observed: ObservedCluster, situation: Situation): Verdict {
  const isEmbedded = situation.redisReady !== undefined;
  return datastoreReady(
    "Redis",
    "spec.redis.urlSecretRef",
    observed.context.names.redis,
    situation,
    isEmbedded,
    situation.redisReady,
  );
}

function datastoreReady(
  product: string,
  field: string,
  name: string,
  { missing, logic }: Situation,
  isEmbedded: boolean,
  isUp: boolean | undefined,
): Verdict {
  if (isEmbedded)
    return isUp
      ? yes("EmbeddedReady", `the embedded ${product} is ready`)
      : no("EmbeddedNotReady", `the embedded ${product} (${name}) is not ready`);
  const absent = missing.find((text) => text.includes(field));
  if (absent) return no("SecretMissing", absent);
  if (logic.ready > 0) return yes("Connected", `logic pods are connected to ${product}`);
  return unknown("NotChecked", `logic pods check ${product}, and none is ready`);
}

export function loadBalancerReady({ cluster, addresses, context }: ObservedCluster): Verdict {
  const { type } = cluster.spec.entry.service;
  if (type !== "LoadBalancer") return yes("NotRequested", `the Service is of type ${type}`);
  if (addresses.length > 0) return yes("AddressAssigned", `clients connect to ${addresses.join(", ")}`);
  return no(
    "NoAddress",
    `Service ${context.names.entry} has no address yet: this cluster needs a load balancer implementation, or set spec.entry.service.type to NodePort`,
  );
}

/** Does the network leave connections of an entry alone that is not ready, and send it nobody once drains ask clients to move? */
export function dataPlaneSafe({ dataPlane, cluster }: Pick<ObservedCluster, "dataPlane" | "cluster">): Verdict {
  if (!dataPlane)
    return unknown(
      "NotSeen",
      "no drain with connections has shown yet what the network does; kubectl im doctor --cordon-canary tries it",
    );
  const { pod, cutsOnUnready, detachSeconds } = dataPlane;
  if (cutsOnUnready)
    return no(
      "CutsOnUnready",
      `connections of ${pod} were cut when it was not ready, before its clients were asked to move: see kubectl im doctor --cordon-canary`,
    );
  const waitsSeconds = Math.ceil(
    drainLimits({ ...cluster, status: { ...cluster.status, dataPlane } }).lbDetachMs / 1000,
  );
  if (detachSeconds > waitsSeconds)
    return no(
      "LateArrivals",
      `new connections reached ${pod} for ${detachSeconds} s after it was not ready, and drains wait ${waitsSeconds} s: ` +
        `set spec.entry.drain.lbDetach to ${detachSeconds + 1}s, or to Auto`,
    );
  return yes(
    "Seen",
    `${pod} was drained: its connections stayed open, and nobody new came once clients were asked to move`,
  );
}

export function schemaMigrated({ migration }: Situation): Verdict {
  switch (migration.state) {
    case "complete":
      return yes("Complete", `Job ${migration.job.metadata.name} is complete`);
    case "blocked":
      return no("Blocked", migration.reason);
    case "missing":
      return no("NotStarted", `Job ${migration.name} is not there yet`);
    case "running":
      return no("Running", `Job ${migration.job.metadata.name} runs`);
    case "failed": {
      const { name } = migration.job.metadata;
      const again = new Date(migration.retryAtMs).toISOString();
      return no(
        "Failed",
        `Job ${name} failed (${migration.message}); see: kubectl logs job/${name}; tried again at ${again}`,
      );
    }
  }
}

export function embeddedDatastores({ context }: ObservedCluster, { postgresReady, redisReady }: Situation): Verdict {
  const embedded = [
    ...(postgresReady === undefined ? [] : ["PostgreSQL (spec.postgres.urlSecretRef)"]),
    ...(redisReady === undefined ? [] : ["Redis (spec.redis.urlSecretRef)"]),
  ];
  if (embedded.length === 0) return no("External", "PostgreSQL and Redis are external");
  const volatile =
    context.storage.kind === "pod"
      ? " PostgreSQL has no volume, because no StorageClass was found: its data is lost with its pod."
      : "";
  return yes(
    "ForTryingOut",
    `for trying out only: one replica without backup of ${embedded.join(" and ")}; name your own for production.${volatile}`,
  );
}

export function updateBlocked(observed: ObservedCluster, { update }: Situation): Verdict {
  if (update.blockade) return yes(update.blockade.reason, update.blockade.message);
  if (!isSurgeShort(entryPlanInput(observed))) return no("NotBlocked", "nothing holds an update back");
  return yes(
    "NoRoom",
    "no node has room for a whole second set of entries: old ones make room in batches, and clients may reconnect more than once; add nodes, or set spec.entry.update.strategy to Batched",
  );
}

export function paused({ cluster }: ObservedCluster): Verdict {
  if (cluster.spec.paused) return yes("SpecPaused", "spec.paused is true: the operator changes nothing");
  return isPaused(cluster)
    ? yes("AnnotationPaused", `the annotation ${ANNOTATION.paused} is "true": the operator changes nothing`)
    : no("NotPaused", "the operator is at work");
}

export function routerConsistent({ routes, cluster }: ObservedCluster): Verdict {
  if (!routes) {
    // An operator that has just started knows no more than the last one.
    const before = conditionOf(cluster.status?.conditions, "RouterConsistent");
    if (before) return { status: before.status, reason: before.reason, message: before.message };
    return unknown("NotAudited", "routes were not compared with the entries yet");
  }
  if (!routes.isAnswered) return unknown("NoAnswer", "no logic pod compares routes with the entries now");
  if (routes.left === 0) return yes("NoGhosts", "every route points at an entry that exists");
  return no(
    "GhostRoutes",
    `${routes.left} routes of entries that no longer exist are held back, because too many went within a minute; nobody is ` +
      `sent there. If they are really gone, set the annotation ${ANNOTATION.forcePurge} to "true"`,
  );
}

export function scalingLimited({ cluster, scaling }: ObservedCluster): Verdict {
  if (!scaling) return no("AutoscalingOff", "spec.entry.replicas is the number of entries");
  const [fault] = scaling.faults;
  if (fault) return yes("InvalidSchedule", fault);
  if ((scaling.needed ?? 0) <= scaling.desired)
    return no("WithinBounds", "as many entries as the load needs are allowed");
  const { max } = cluster.spec.entry.autoscaling ?? {};
  return yes("AtMaximum", `the load needs more entries than spec.entry.autoscaling.max (${max}): raise it`);
}

export function hibernated({ cluster }: ObservedCluster, { active, leaving }: Situation): Verdict {
  const isFenced = isEveryEntryFenced(cluster);
  if (!cluster.spec.hibernate && !isFenced) return no("Awake", "entries are wanted");
  const why = isFenced ? 'spec.fencedEntries is ["*"]' : "spec.hibernate is true";
  if (active.length + leaving.length > 0) return no("FallingAsleep", `${why}: entries are still being taken away`);
  const remedy = isFenced ? "take it out to make entries again" : "set it to false to make entries again";
  return yes(isFenced ? "AllFenced" : "SpecHibernate", `${why}, so there is no entry: ${remedy}`);
}

/** Of those that an entry asked to reconnect, so many were seen at another one when all is well. */
const RETURNED_RATIO = 0.95;

/** Was the last drain that moved clients proved: no route left behind, and the clients back? @param drains newest first */
export function drainVerified(drains: readonly DrainStatus[]): Verdict {
  const last = drains.find(({ phase, finishedAt, asked }) => phase === "Released" && finishedAt && asked !== undefined);
  if (!last) return unknown("NoDrain", "no drain has ended yet");
  const { pod, returned, absent = 0, routesLeft } = last;
  if (routesLeft === undefined) return unknown("NotCounted", `nobody could count the routes of ${pod} after its drain`);
  if (routesLeft > 0) return no("RoutesLeft", `${routesLeft} routes still point at ${pod}`);
  if (returned === undefined)
    return unknown("NotNamed", `${pod} did not say whom it had asked to move, so nobody looked for them`);
  const figures = `${returned} of ${returned + absent} sessions of ${pod} were seen at other entries`;
  if (returned < RETURNED_RATIO * (returned + absent)) return no("ClientsAbsent", figures);
  return yes("Verified", `${figures}, and no route is left`);
}

/** First reason why the cluster does not serve; `undefined` when it does. */
export function notServing(observed: ObservedCluster, situation: Situation): Verdict | undefined {
  const replicas = wantedEntries(observed);
  // Once it served, losing one entry is a degradation and no outage; nor is a pod that was only just asked for.
  const needed = situation.wasReady ? Math.max(1, Math.min(replicas, situation.established) - 1) : replicas;
  const [missing] = situation.missing;
  if (missing) return no(missing.startsWith("ConfigMap") ? "ConfigMapMissing" : "SecretMissing", missing);
  if (replicas === 0) {
    const { message, reason } = hibernated(observed, situation);
    return no(reason, message);
  }
  const gates = [
    loadBalancerReady(observed),
    ...(situation.wasReady ? [] : [schemaMigrated(situation)]),
    logicReady(situation),
  ];
  const closed = gates.find(({ status }) => status !== "True");
  if (closed) return closed;
  if (situation.ready < needed) return entriesReady(observed, situation);
  return undefined;
}

export function ready(observed: ObservedCluster, situation: Situation): Verdict {
  return (
    notServing(observed, situation) ??
    yes("Serving", `clients connect to ${observed.addresses[0] ?? observed.context.names.entry}`)
  );
}
