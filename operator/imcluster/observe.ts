// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { InternalTls } from "#lib/grpc.ts";
import { inTurns } from "#lib/in-turns.ts";
import type { ImCluster, PostgresSpec } from "../api/v1alpha1.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/kube-error.ts";
import {
  CONFIG_MAPS,
  type ConfigMap,
  type KubeObject,
  PERSISTENT_VOLUME_CLAIMS,
  type Pod,
  SECRETS,
  SERVICES,
  type Secret,
  type Service,
  STATEFUL_SETS,
  STORAGE_CLASSES,
  type StorageClass,
} from "../kube/types.ts";
import type { ScalingHistory } from "./autoscaling.ts";
import { type Caches, OWNED_KINDS } from "./caches.ts";
import { ClosingTime } from "./closing-time.ts";
import { CrashBackoff } from "./crash-backoff.ts";
import { DataPlaneWatch } from "./data-plane.ts";
import { drainLimits } from "./drain-limits.ts";
import type { Verification } from "./drain-verification.ts";
import { DrainWatch } from "./drain-watch.ts";
import type { Fleet, FleetIdentity } from "./fleet-client.ts";
import { isSameJson } from "./hash.ts";
import { LABEL, namesOf, selectorLabels } from "./names.ts";
import { NO_STREAK, type Streak } from "./next-look.ts";
import type { ObjectReader } from "./object-reader.ts";
import { type EntryProbe, isLeaving, isMoving, isPodReady, type ObservedEntry, observeEntry } from "./observed.ts";
import { type ObservedCluster, OwnedObjects } from "./observed-cluster.ts";
import { ProbePace } from "./probe-pace.ts";
import { Rebalance } from "./rebalance.ts";
import { ReceiverWatch } from "./receiver-watch.ts";
import { ReconnectBudget } from "./reconnect-budget.ts";
import { type BuildContext, buildContext, type OperandConfig, type PostgresStorage } from "./resources/context.ts";
import { entryRevision } from "./resources/entry-pod.ts";
import type { RoutesSeen } from "./route-audit.ts";
import { operatorLeaf } from "./secret-content.ts";
import { configMapNames, contentHashes, generatedNames, type Secrets, secretNames, secretValue } from "./secrets.ts";
import { SlowCalls } from "./slow-calls.ts";
import { decideScale, isPaused, wantedEntries } from "./wanted.ts";

/** One that did not answer is asked again after this, when there is a pass. */
const UNANSWERED_MS = 1_000;
/** And this often while clients move to them. */
const RECEIVER_EVERY_MS = 1_000;
const PROBES_AT_ONCE = 20;
/** A pass waits this long for answers: those that come later count in the next one. */
const PROBE_WAIT_MS = 600;
/** As many as a cluster may have entries, and as many again that leave. */
const MAX_PROBES = 400;
/** Purges, proofs and audits under way at the same time. */
const MAX_SLOW_CALLS = 20;
/** A load balancer normally gives an address within this. */
const ADDRESS_WAIT_MS = 15_000;
const LEAF_RENEW_MS = 12 * 3_600_000;

/** The last question to an entry. */
export interface Probed {
  probe: EntryProbe | undefined;
  /** Monotonic. */
  askedMs: number;
  /** Restarts of its container then. */
  restarts?: number;
  /** The last answer of this start of its container. */
  said?: EntryProbe | undefined;
}

/** Key of the audit among {@link ClusterMemory.slow}; the others are `<UID of a pod>/<what>`. */
export const AUDIT = "audit";

/** What the operator remembers of a cluster between passes. Nothing in it is needed for correctness. */
export class ClusterMemory {
  readonly probes = new Map<string, Probed>();
  /** UIDs of pods of which logic said that no route is left. */
  readonly purged = new Set<string>();
  /** By UID of pods whose drain is being proved. */
  readonly verifications = new Map<string, Verification>();
  /** Questions to entries that take longer than a pass waits, by UID. */
  readonly probing = new SlowCalls(MAX_PROBES);
  /** The same of calls to logic, by what they are about. */
  readonly slow = new SlowCalls(MAX_SLOW_CALLS);
  /** Logic pods that did not answer, by UID, and until when nobody asks them how they are. */
  readonly silentLogic = new Map<string, number>();
  readonly budget = new ReconnectBudget();
  readonly closing = new ClosingTime();
  readonly receivers = new ReceiverWatch();
  readonly dataPlane = new DataPlaneWatch();
  readonly rebalance = new Rebalance();
  readonly backoff = new CrashBackoff();
  scaling: ScalingHistory | undefined;
  routes: RoutesSeen | undefined;
  tls: { value: InternalTls; ca: string; issuedMs: number } | undefined;
  streak: Streak = NO_STREAK;
  #context: BuildContext | undefined;
  /** UID of the cluster it is about. */
  readonly uid: string;

  constructor(uid: string) {
    this.uid = uid;
  }

  /** The context of the pass before while it says the same, with all that was built from it. The status plays no part in it. */
  contextOf(now: BuildContext): BuildContext {
    const before = this.#context;
    const { generation } = now.cluster.metadata;
    const isSame =
      before !== undefined &&
      generation !== undefined &&
      before.cluster.metadata.generation === generation &&
      isSameJson(before.hashes, now.hashes) &&
      isSameJson(before.storage, now.storage);
    if (!isSame) this.#context = now;
    return this.#context ?? now;
  }
}

export interface ObserverOptions {
  client: KubeClient;
  caches: Caches;
  secrets: ObjectReader<Secret>;
  configMaps: ObjectReader<ConfigMap>;
  fleet: Fleet;
  config: OperandConfig;
  clock: Clock;
}

/** Reads everything about one cluster into one struct. */
export class Observer {
  readonly #options: ObserverOptions;
  readonly #drains: DrainWatch;
  readonly #pace = new ProbePace();

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#drains = new DrainWatch(options.fleet, options.clock);
  }

  /** The cluster is gone. */
  forget(uid: string): void {
    this.#pace.resize(uid, 0);
  }

  /** @throws KubeError when a Secret, a ConfigMap or the StorageClasses cannot be read */
  async observe(cluster: ImCluster, memory: ClusterMemory): Promise<ObservedCluster> {
    const { secrets: reader, configMaps, config, clock } = this.#options;
    const { name, namespace = "", uid = "" } = cluster.metadata;
    const [secrets, maps] = await Promise.all([
      reader.read(namespace, secretNames(cluster)),
      configMaps.read(namespace, configMapNames(cluster)),
    ]);
    const objects = this.#ownedObjects(namespace, name);
    const ownMap = maps.get(namesOf(name).logLevels);
    if (ownMap) objects.add(CONFIG_MAPS, [ownMap]);
    const storage = await this.#storage(cluster, objects);
    const nowMs = clock.wallMs();
    const who = this.identity(cluster, secrets, memory);
    const entries = await this.#entries(cluster, memory, who);
    const logicPods = this.#logicPods(namespace, name);
    memory.backoff.observe(entries, nowMs);
    memory.dataPlane.look(entries, clock.nowMs(), nowMs);
    const service = objects.get(SERVICES, namesOf(name).entry);
    const addresses = addressesOf(service);
    const generated = generatedNames(cluster).flatMap((one) => secrets.get(one) ?? []);
    const foreignSecrets = new OwnedObjects().add(SECRETS, generated).foreign(uid);
    // They are about to be collected: look again the next time.
    for (const key of foreignSecrets) reader.forget(namespace, key.slice(key.indexOf("/") + 1));
    if (ownMap && objects.foreign(uid).length > 0) configMaps.forget(namespace, ownMap.metadata.name);
    const context = memory.contextOf(buildContext(cluster, config, contentHashes(cluster, secrets), storage));
    const scaling = decideScale(cluster, entries, entryRevision(context), memory.scaling, nowMs);
    memory.scaling = scaling?.history;
    const { strategy, maxSkewPercent } = cluster.spec.entry.update;
    const replicas = wantedEntries({ cluster, scaling });
    const spread = memory.rebalance.look({
      ...{ entries, revision: entryRevision(context), replicas, strategy, maxSkewPercent },
      nowMs: clock.nowMs(),
    });
    if (!isPaused(cluster)) await this.#drains.look(cluster, memory, who, { entries, logicPods, spread });
    return {
      cluster,
      context,
      secrets,
      configMaps: maps,
      objects,
      entries,
      scaling,
      routes: memory.routes,
      dataPlane: memory.dataPlane.last ?? cluster.status?.dataPlane,
      logicPods,
      reconnectsPerSecond: memory.budget.rateAt(clock.nowMs()),
      addresses,
      awaitsAddress: addresses.length === 0 && isFreshLoadBalancer(cluster, service, nowMs),
      foreign: [...objects.foreign(uid), ...foreignSecrets],
      createNotBeforeMs: memory.backoff.notBeforeMs,
      crashes: memory.backoff.failures,
      nowMs,
    };
  }

  /** As whom pods are called: a leaf of the cluster's own CA, made anew every 12 h. */
  identity(cluster: ImCluster, secrets: Secrets, memory: ClusterMemory): FleetIdentity | undefined {
    const { clock } = this.#options;
    const ca = secretValue(secrets, namesOf(cluster.metadata.name).internalCa, "ca.crt");
    if (!ca) return undefined;
    if (memory.tls?.ca !== ca || clock.nowMs() - memory.tls.issuedMs > LEAF_RENEW_MS) {
      const leaf = operatorLeaf(cluster, secrets, clock.wallMs());
      if (!leaf) return undefined;
      const value = { ca: Buffer.from(leaf.ca), cert: Buffer.from(leaf.cert), key: Buffer.from(leaf.key) };
      memory.tls = { value, ca, issuedMs: clock.nowMs() };
    }
    return { clusterUid: cluster.metadata.uid ?? "", tls: memory.tls.value };
  }

  #ownedObjects(namespace: string, name: string): OwnedObjects {
    const objects = new OwnedObjects();
    for (const resource of OWNED_KINDS) {
      objects.add(resource, this.#options.caches.owned(resource).list(namespace, { [LABEL.cluster]: name }));
    }
    return objects;
  }

  #logicPods(namespace: string, name: string): Pod[] {
    const pods = this.#options.caches.pods.list(namespace, selectorLabels(name, "logic"));
    return pods.filter((pod) => isPodReady(pod) && pod.status?.podIP);
  }

  async #entries(cluster: ImCluster, memory: ClusterMemory, who: FleetIdentity | undefined): Promise<ObservedEntry[]> {
    const { name, namespace = "", uid = "" } = cluster.metadata;
    const { caches, clock } = this.#options;
    const pods = caches.pods.list(namespace, selectorLabels(name, "entry")).filter((pod) => isOursOrNobodys(pod, uid));
    forgetOthers(memory, new Set(pods.map((pod) => pod.metadata.uid ?? "")));
    this.#pace.resize(uid, pods.length);
    const nowMs = clock.wallMs();
    const { maxPerSecond = Number.POSITIVE_INFINITY } = drainLimits(cluster);
    const observe = (pod: Pod) => {
      const podUid = pod.metadata.uid ?? "";
      const { probe, said } = memory.probes.get(podUid) ?? {};
      const isNews = said !== undefined && clock.nowMs() - said.atMs < this.#pace.newsMs;
      const proof = memory.verifications.get(podUid);
      return observeEntry(pod, {
        ...{ ownerUid: uid, probe, said: isNews ? said : undefined, isPurged: memory.purged.has(podUid), nowMs },
        hadClosingTime: memory.closing.hadTime(podUid, maxPerSecond),
        isNodeLeaving: caches.isNodeLeaving(pod.spec.nodeName),
        verification: proof && { isDone: proof.isDone(clock.nowMs()), report: proof.report(probe) },
      });
    };
    if (who) await this.#probe(pods.map(observe), memory, who);
    const entries = pods.map(observe);
    memory.closing.look(entries, clock.nowMs());
    return entries;
  }

  async #probe(entries: ObservedEntry[], memory: ClusterMemory, who: FleetIdentity): Promise<void> {
    const { clock, fleet } = this.#options;
    const isMove = entries.some(isMoving) || memory.rebalance.asking.length > 0;
    const everyMs = isMove ? RECEIVER_EVERY_MS : this.#pace.everyMs;
    const isDue = (entry: ObservedEntry) => {
      if (entry.isDead || !entry.hasStarted) return false;
      const known = memory.probes.get(entry.uid);
      if (!known || isLeaving(entry) || (known.restarts ?? entry.restarts) !== entry.restarts) return true;
      return clock.nowMs() - known.askedMs >= (known.probe ? everyMs : UNANSWERED_MS);
    };
    // Those that move need an answer first; of the others, those that waited longest.
    const rank = (entry: ObservedEntry) => (isMoving(entry) ? -1 : (memory.probes.get(entry.uid)?.askedMs ?? 0));
    const due = entries.filter(isDue).sort((a, b) => rank(a) - rank(b));
    const untilMs = clock.nowMs() + PROBE_WAIT_MS;
    await inTurns(due, PROBES_AT_ONCE, async ({ uid, pod, restarts }) => {
      if (clock.nowMs() >= untilMs) return;
      await memory.probing.within(uid, clock, untilMs, async () => {
        const before = memory.probes.get(uid);
        const probe = await fleet.status(who, pod);
        const said = probe ?? (before?.restarts === restarts ? before.said : undefined);
        memory.probes.set(uid, { probe, said, askedMs: clock.nowMs(), restarts });
      });
    });
  }

  async #storage(cluster: ImCluster, objects: OwnedObjects): Promise<PostgresStorage> {
    const { postgres } = cluster.spec;
    if (postgres.urlSecretRef) return { kind: "external" };
    const { postgres: name } = namesOf(cluster.metadata.name);
    const decided = decidedStorage(postgres, objects, name);
    if (decided) return decided;
    return chooseStorage(postgres, await this.#storageClasses());
  }

  /** None when the operator may not see them (it is confined to namespaces). */
  async #storageClasses(): Promise<StorageClass[]> {
    try {
      return (await this.#options.client.list(STORAGE_CLASSES, undefined)).items;
    } catch (error) {
      if (error instanceof KubeError && error.status === 403) return [];
      throw error;
    }
  }
}

/** What runs already stays: another kind of storage would be another, empty database. */
function decidedStorage(postgres: PostgresSpec, objects: OwnedObjects, name: string): PostgresStorage | undefined {
  const storageClassName = postgres.embedded?.storageClassName;
  if (objects.get(PERSISTENT_VOLUME_CLAIMS, name)) return { kind: "volume", storageClassName };
  return objects.get(STATEFUL_SETS, name) ? { kind: "pod" } : undefined;
}

const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";

/** The class that the spec names, else the cluster's default, else its only one, else the pod. */
export function chooseStorage(postgres: PostgresSpec, classes: readonly StorageClass[]): PostgresStorage {
  const named = postgres.embedded?.storageClassName;
  if (named) return { kind: "volume", storageClassName: named };
  const isDefault = ({ metadata }: KubeObject) => metadata.annotations?.[DEFAULT_CLASS] === "true";
  if (classes.some(isDefault)) return { kind: "volume", storageClassName: undefined };
  const [only, ...others] = classes;
  return only && others.length === 0 ? { kind: "volume", storageClassName: only.metadata.name } : { kind: "pod" };
}

export function addressesOf(service: Service | undefined): string[] {
  const ingress = service?.status?.loadBalancer?.ingress ?? [];
  return ingress.flatMap(({ ip, hostname }) => (ip ? [ip] : hostname ? [hostname] : []));
}

function isFreshLoadBalancer(cluster: ImCluster, service: Service | undefined, nowMs: number): boolean {
  if (cluster.spec.entry.service.type !== "LoadBalancer") return false;
  if (!service) return true;
  return nowMs - Date.parse(service.metadata.creationTimestamp ?? "") < ADDRESS_WAIT_MS;
}

/** Pods of a deleted ImCluster of the same name are not ours. */
function isOursOrNobodys(pod: Pod, ownerUid: string): boolean {
  const controller = pod.metadata.ownerReferences?.find((reference) => reference.controller);
  return !controller || controller.uid === ownerUid;
}

function forgetOthers(memory: ClusterMemory, present: ReadonlySet<string>): void {
  for (const uid of memory.probes.keys()) if (!present.has(uid)) memory.probes.delete(uid);
  for (const uid of memory.purged) if (!present.has(uid)) memory.purged.delete(uid);
  for (const uid of memory.verifications.keys()) if (!present.has(uid)) memory.verifications.delete(uid);
  memory.probing.forget((uid) => !present.has(uid));
  memory.slow.forget((key) => key !== AUDIT && !present.has(key.slice(0, key.indexOf("/"))));
}
