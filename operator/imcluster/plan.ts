// SPDX-License-Identifier: Apache-2.0
import { hasFinalizer } from "../kube/owner.ts";
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  JOBS,
  type KubeObject,
  NETWORK_POLICIES,
  PERSISTENT_VOLUME_CLAIMS,
  POD_DISRUPTION_BUDGETS,
  type PodDisruptionBudget,
  type Resource,
  SERVICE_ACCOUNTS,
  SERVICES,
  STATEFUL_SETS,
} from "../kube/types.ts";
import { cordonSteps } from "./cordon-requests.ts";
import { drainLimits } from "./drain-limits.ts";
import type { EntryAction, EntryPlanInput } from "./entry-plan.ts";
import { planEntries } from "./entry-pods.ts";
import { migrationState } from "./migration.ts";
import { ANNOTATION, FINALIZER, type PodRole, ROLES } from "./names.ts";
import { isActive, type ObservedEntry } from "./observed.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { postgresClaim, postgresStatefulSet, redisStatefulSet } from "./resources/datastores.ts";
import { entryRevision } from "./resources/entry-pod.ts";
import { extlogicDeployment } from "./resources/extlogic.ts";
import { logLevelsConfigMap } from "./resources/log-levels.ts";
import { logicDeployment } from "./resources/logic.ts";
import { migrateJob } from "./resources/migrate-job.ts";
import { networkPolicies, networkPolicyNames } from "./resources/network-policies.ts";
import { disruptionBudget, serviceAccount } from "./resources/policy.ts";
import { apiService, datastoreService, entryService, logicService } from "./resources/services.ts";
import { updateLimits } from "./rollout.ts";
import { missingReferences, neededSecrets, type SecretNeed, tlsFingerprint } from "./secrets.ts";
import { isSubset } from "./subset.ts";
import { gateOf } from "./update-facts.ts";
import { isFenced, wantedEntries } from "./wanted.ts";

type ObjectAction = { resource: Resource; object: KubeObject; reason: string };

/** One write, call or wait. Actions are independent of each other: one that fails does not make the others wrong. */
export type Action =
  | EntryAction
  | { kind: "addFinalizer"; reason: string }
  | { kind: "makeSecret"; need: SecretNeed; reason: string }
  /** Server-side apply. */
  | ({ kind: "apply" } & ObjectAction)
  /** For objects that cannot change. */
  | ({ kind: "create" } & ObjectAction)
  | ({ kind: "delete" } & ObjectAction)
  /** Makes the kubelet refresh the certificate that clients see at once. */
  | { kind: "touchTls"; entry: ObservedEntry; fingerprint: string; reason: string };

/**
 * What to do now to bring the cluster closer to its spec. Pure: no clock, no randomness, no I/O. Idempotent: once everything is
 * as wanted it returns nothing but waits. It may be stopped after any action and started again from a new observation.
 */
export function planCluster(observed: ObservedCluster): Action[] {
  const { cluster, foreign } = observed;
  if (!hasFinalizer(cluster, FINALIZER.cluster))
    return [{ kind: "addFinalizer", reason: "entry pods are cleaned up first" }];
  const [first] = foreign;
  if (first) return [{ kind: "wait", reason: `${first} still belongs to another owner`, afterMs: 1_000 }];
  return [
    ...secrets(observed),
    ...foundation(observed),
    ...postgres(observed),
    ...redis(observed),
    ...migration(observed),
    ...workloads(observed),
    ...entries(observed),
  ];
}

function secrets(observed: ObservedCluster): Action[] {
  const { cluster, addresses, awaitsAddress, nowMs } = observed;
  const needs = neededSecrets(cluster, observed.secrets, { addresses, awaitsAddress, nowMs });
  return needs.map((need) => ({ kind: "makeSecret", need, reason: `Secret ${need.name} ${need.reason}` }));
}

/** What was found to be as wanted. Neither side of a comparison ever changes: another object comes in its place. */
const asWanted = new WeakMap<KubeObject, KubeObject>();

/** An apply when the object is missing or differs, else nothing. */
function ensure<T extends KubeObject>(observed: ObservedCluster, resource: Resource<T>, wanted: T): Action[] {
  const actual = observed.objects.get(resource, wanted.metadata.name);
  if (actual && (asWanted.get(wanted) === actual || isSubset(wanted, actual))) {
    asWanted.set(wanted, actual);
    return [];
  }
  const reason = `${resource.kind} ${wanted.metadata.name} ${actual ? "differs" : "does not exist"}`;
  return [{ kind: "apply", resource, object: wanted, reason }];
}

/** A create when the object is missing, else nothing: for what the API server lets nobody change. */
function ensureExists<T extends KubeObject>(observed: ObservedCluster, resource: Resource<T>, wanted: T): Action[] {
  if (observed.objects.get(resource, wanted.metadata.name)) return [];
  const reason = `${resource.kind} ${wanted.metadata.name} does not exist`;
  return [{ kind: "create", resource, object: wanted, reason }];
}

function remove<T extends KubeObject>(
  observed: ObservedCluster,
  resource: Resource<T>,
  name: string,
  why: string,
): Action[] {
  const object = observed.objects.get(resource, name);
  if (!object || object.metadata.deletionTimestamp) return [];
  return [{ kind: "delete", resource, object, reason: `${resource.kind} ${name}: ${why}` }];
}

/** What needs nothing else. */
function foundation(observed: ObservedCluster): Action[] {
  const { context } = observed;
  return [
    ...ensure(observed, CONFIG_MAPS, logLevelsConfigMap(context)),
    ...ensure(observed, SERVICES, entryService(context)),
    ...ensure(observed, SERVICES, logicService(context)),
    ...(observed.cluster.spec.logic.serverApi
      ? ensure(observed, SERVICES, apiService(context))
      : remove(observed, SERVICES, context.names.api, "the spec has no server API")),
    ...ROLES.flatMap((role) => ensure(observed, SERVICE_ACCOUNTS, serviceAccount(context, role))),
    ...ROLES.flatMap((role) => ensure(observed, POD_DISRUPTION_BUDGETS, budget(observed, role))),
    ...network(observed),
  ];
}

/** What denies comes last and goes first: a cluster in use must not lose a connection in between. */
function network(observed: ObservedCluster): Action[] {
  const { context } = observed;
  const [deny, ...allow] = networkPolicies(context);
  const wanted = [...allow, ...(deny ? [deny] : [])];
  const names = new Set(wanted.map(({ metadata }) => metadata.name));
  return [
    ...wanted.flatMap((policy) => ensure(observed, NETWORK_POLICIES, policy)),
    ...networkPolicyNames(context)
      .filter((name) => !names.has(name))
      .flatMap((name) => remove(observed, NETWORK_POLICIES, name, "the spec needs it no more")),
  ];
}

/** What is wanted by autoscaling is not what the scale subresource says, by which Kubernetes counts an unavailable share. */
function budget(observed: ObservedCluster, role: PodRole): PodDisruptionBudget {
  const isOwnNumber = role === "entry" && observed.scaling !== undefined;
  return disruptionBudget(observed.context, role, isOwnNumber ? Math.max(0, wantedEntries(observed) - 1) : undefined);
}

function postgres(observed: ObservedCluster): Action[] {
  const { context } = observed;
  if (context.storage.kind === "external") return [];
  return [
    ...ensure(observed, SERVICES, datastoreService(context, "postgres")),
    ...(context.storage.kind === "volume"
      ? ensureExists(observed, PERSISTENT_VOLUME_CLAIMS, postgresClaim(context))
      : []),
    ...(context.hashes.postgres ? ensure(observed, STATEFUL_SETS, postgresStatefulSet(context)) : []),
  ];
}

function redis(observed: ObservedCluster): Action[] {
  const { context, cluster } = observed;
  if (cluster.spec.redis.urlSecretRef) {
    const why = "the spec names another Redis";
    return [
      ...remove(observed, STATEFUL_SETS, context.names.redis, why),
      ...remove(observed, SERVICES, context.names.redis, why),
    ];
  }
  return [
    ...ensure(observed, SERVICES, datastoreService(context, "redis")),
    ...(context.hashes.redis ? ensure(observed, STATEFUL_SETS, redisStatefulSet(context)) : []),
  ];
}

function migration(observed: ObservedCluster): Action[] {
  const { context, objects, nowMs } = observed;
  const now = migrationState(observed);
  switch (now.state) {
    case "blocked":
    case "running":
      return [];
    case "missing":
      return ensureExists(observed, JOBS, migrateJob(context));
    case "failed":
      if (nowMs < now.retryAtMs)
        return [{ kind: "wait", reason: "the migration failed", afterMs: now.retryAtMs - nowMs }];
      return remove(observed, JOBS, now.job.metadata.name, "tries again");
    case "complete":
      return objects
        .list(JOBS)
        .filter(({ metadata }) => metadata.name !== now.job.metadata.name)
        .flatMap(({ metadata }) => remove(observed, JOBS, metadata.name, "a later migration is complete"));
  }
}

/** Logic and extlogic change only when the schema is theirs and everything they mount exists. */
function workloads(observed: ObservedCluster): Action[] {
  const { context } = observed;
  const { internal, redis: redisHash, tokenKeys, pushKeys } = context.hashes;
  if (migrationState(observed).state !== "complete") return [];
  if (!internal.logic || !internal.extlogic || !redisHash || !tokenKeys || !pushKeys) return [];
  return [
    ...ensure(observed, DEPLOYMENTS, logicDeployment(context)),
    ...ensure(observed, DEPLOYMENTS, extlogicDeployment(context)),
  ];
}

function entries(observed: ObservedCluster): Action[] {
  const steps = [...planEntries(entryPlanInput(observed)), ...cordonSteps(observed.entries)];
  return [...steps, ...staleCertificates(observed), ...unwritten(observed)];
}

/** What the gate decided counts once it is in the status, which is written at the end of this pass. */
function unwritten(observed: ObservedCluster): Action[] {
  const { record } = gateOf(observed, wantedEntries(observed));
  if (record?.phase === observed.cluster.status?.update?.phase) return [];
  return [{ kind: "wait", reason: `the update is written down as ${record?.phase ?? "done"}`, afterMs: 100 }];
}

/** The part of the observation that is about entry pods. */
export function entryPlanInput(observed: ObservedCluster): EntryPlanInput {
  const { entry } = observed.cluster.spec;
  const replicas = wantedEntries(observed);
  return {
    replicas,
    isFenced: (name) => isFenced(observed.cluster, name),
    revision: entryRevision(observed.context),
    update: updateLimits(entry, replicas),
    stage: gateOf(observed, replicas).stage,
    entries: observed.entries,
    createBlocked: entriesBlocked(observed),
    createNotBeforeMs: observed.createNotBeforeMs,
    drain: drainLimits(observed.cluster),
    hasLogic: observed.logicPods.length > 0,
    nowMs: observed.nowMs,
  };
}

/** Why an entry pod made now could not start, if so. */
export function entriesBlocked(observed: ObservedCluster): string | undefined {
  const { cluster, context } = observed;
  if (!context.hashes.internal.entry) return "the internal certificates are not there yet";
  if (tlsFingerprint(cluster, observed.secrets)) return undefined;
  const missing = missingReferences(cluster, observed.secrets, observed.configMaps).find((text) =>
    text.includes("spec.tls.secretName"),
  );
  return missing ?? "the certificate for clients waits for the address of the load balancer";
}

function staleCertificates(observed: ObservedCluster): Action[] {
  const fingerprint = tlsFingerprint(observed.cluster, observed.secrets);
  if (!fingerprint) return [];
  const isStale = (entry: ObservedEntry) =>
    isActive(entry) && entry.pod.metadata.annotations?.[ANNOTATION.tlsFingerprint] !== fingerprint;
  const reason = "the certificate changed";
  return observed.entries.filter(isStale).map((entry) => ({ kind: "touchTls", entry, fingerprint, reason }));
}
