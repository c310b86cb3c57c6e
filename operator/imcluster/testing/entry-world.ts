// SPDX-License-Identifier: Apache-2.0
import type { Pod } from "../../kube/types.ts";
import type { DeadlinePolicy, DrainIntent, DrainReport } from "../drain.ts";
import type { EntryAction, EntryPlanInput, UpdateStage, UpdateStrategy } from "../entry-plan.ts";
import { ANNOTATION, FINALIZER, LABEL } from "../names.ts";
import { type EntryProbe, type ObservedEntry, observeEntry } from "../observed.ts";

interface SimulatedEntry {
  pod: Pod;
  madeMs: number;
  connections: number;
  cordoned: boolean;
  draining: boolean;
  purged: boolean;
  verified: boolean;
}

const REPORT: DrainReport = {
  ...{ initial: 1, asked: 1, forced: 0, returned: 1, absent: 0 },
  ...{ offlineP50Ms: 0, offlineP99Ms: 0, routesLeft: 0 },
};

const OWNER = "owner";
/** A new pod is not ready at once: several passes of the planner see it starting. */
const START_MS = 3_000;
const NODES = 3;
const nodeName = (nth: number): string => `n${nth % NODES}`;

/**
 * A world of entry pods with API server, kubelet, entries and logic reduced to what the planner can see: it applies actions
 * as the executor would, and lets time and disturbances in.
 */
export class EntryWorld {
  replicas = 3;
  strategy: UpdateStrategy = "BlueGreen";
  stage: UpdateStage = { kind: "open" };
  hasLogic = true;
  /** Names of pods to cut off. */
  readonly fenced = new Set<string>();
  onDeadline: DeadlinePolicy = "Force";
  #revision = 1;
  #newest = 1;
  #nowMs = 1_700_000_000_000;
  #made = 0;
  readonly #pods = new Map<string, SimulatedEntry>();
  readonly #leavingNodes = new Set<string>();

  input(): EntryPlanInput {
    return {
      replicas: this.replicas,
      isFenced: (name) => this.fenced.has(name),
      revision: String(this.#revision),
      update: {
        strategy: this.strategy,
        batch: Math.max(1, Math.ceil(this.replicas / 4)),
        maxConnectionsPerPod: 1_000,
      },
      stage: this.stage,
      entries: this.entries(),
      createBlocked: undefined,
      createNotBeforeMs: 0,
      drain: { windowMs: 1_000, deadlineMs: 5_000, onDeadline: this.onDeadline, lbDetachMs: 2_000 },
      hasLogic: this.hasLogic,
      nowMs: this.#nowMs,
    };
  }

  fence(nth: number): void {
    const name = this.#nth(nth)?.pod.metadata.name;
    if (name) this.fenced.add(name);
  }

  entries(): ObservedEntry[] {
    return [...this.#pods.values()].map((simulated) =>
      observeEntry(simulated.pod, {
        ownerUid: OWNER,
        probe: this.#probe(simulated),
        isPurged: simulated.purged,
        isNodeLeaving: this.#leavingNodes.has(simulated.pod.spec.nodeName ?? ""),
        verification: simulated.verified ? { isDone: true, report: REPORT } : undefined,
        nowMs: this.#nowMs,
      }),
    );
  }

  get revision(): string {
    return String(this.#revision);
  }

  update(): void {
    this.#revision = ++this.#newest;
  }

  /** To the revision before. */
  rollBack(): void {
    this.#revision = Math.max(1, this.#revision - 1);
  }

  /** A node is being emptied, or not any more. */
  setNode(nth: number, isLeaving: boolean): void {
    const name = nodeName(nth);
    if (isLeaving) this.#leavingNodes.add(name);
    else this.#leavingNodes.delete(name);
  }

  /** Somebody writes the annotation, or takes it away. */
  request(nth: number, reason: string | undefined): void {
    const one = this.#nth(nth);
    if (!one) return;
    const { [ANNOTATION.drainRequest]: _, ...others } = one.pod.metadata.annotations ?? {};
    one.pod.metadata.annotations = reason ? { ...others, [ANNOTATION.drainRequest]: reason } : others;
  }

  /** Nobody wants a pod away any more. */
  calm(): void {
    this.#leavingNodes.clear();
    for (let at = 0; at < this.#pods.size; at++) this.request(at, undefined);
  }

  pass(ms: number): void {
    this.#nowMs += ms;
  }

  setSessions(nth: number, sessions: number): void {
    const one = this.#nth(nth);
    if (one && isRunning(one.pod)) one.connections = sessions;
  }

  disturb(what: "ready" | "unready" | "die" | "delete" | "loseNode" | "stripFinalizer", nth: number): void {
    const one = this.#nth(nth);
    if (!one) return;
    switch (what) {
      case "ready":
        this.#becomeReady(one);
        return;
      case "unready":
        setReady(one.pod, false);
        return;
      case "die":
        end(one, "Failed");
        return;
      case "delete":
        this.#delete(one.pod, 30_000);
        return;
      case "loseNode":
        // Deleted by the taint manager; no kubelet will ever confirm.
        setReady(one.pod, false);
        this.#delete(one.pod, 30_000);
        return;
      case "stripFinalizer":
        one.pod.metadata.finalizers = [];
        this.#collect();
    }
  }

  /** What happens by itself when nothing is wrong: pods start, told ends happen, draining entries empty. */
  heal(): void {
    for (const one of [...this.#pods.values()]) {
      if (one.pod.metadata.deletionTimestamp) end(one, "Succeeded");
      else if (one.draining) one.connections = 0;
      else if (!one.cordoned && this.#nowMs - one.madeMs >= START_MS) this.#becomeReady(one);
    }
    this.#collect();
  }

  isSettled(): boolean {
    const all = this.entries();
    const isWanted = (entry: ObservedEntry) =>
      entry.isReady && !entry.intent && entry.revision === String(this.#revision);
    return all.length === this.replicas && all.every(isWanted);
  }

  describe(): string {
    const rows = this.entries().map((entry) => {
      const { name, isReady, isDead, isTerminating, isHeld, revision, intent } = entry;
      return JSON.stringify({ name, isReady, isDead, isTerminating, isHeld, revision, phase: intent?.phase });
    });
    return `wanted ${this.replicas} of revision ${this.#revision}, have:\n${rows.join("\n")}`;
  }

  /** Purged, nothing to purge, or the purge's deadline is over. */
  mayRelease(entry: ObservedEntry): boolean {
    const isLate = this.#nowMs >= Date.parse(entry.intent?.deadline ?? "");
    return entry.intent?.phase === "Released" || entry.isPurged || !entry.hasStarted || isLate;
  }

  apply(actions: readonly EntryAction[]): void {
    for (const action of actions) this.#applyOne(action);
    this.#collect();
  }

  #applyOne(action: EntryAction): void {
    if (action.kind === "wait") return;
    if (action.kind === "createEntry") {
      this.#create(action.like?.revision ?? String(this.#revision));
      return;
    }
    const one = this.#pods.get(action.entry.uid);
    if (!one) return;
    switch (action.kind) {
      case "adopt":
        one.pod.metadata.ownerReferences = [{ apiVersion: "", kind: "", name: "", uid: OWNER }];
        return;
      case "setDrain":
        annotate(one.pod, action.intent);
        return;
      case "abortDrain": {
        one.cordoned = false;
        const { [ANNOTATION.drain]: _, ...others } = one.pod.metadata.annotations ?? {};
        one.pod.metadata.annotations = others;
        return;
      }
      case "cordon":
        one.cordoned = true;
        setReady(one.pod, false);
        return;
      case "drain":
        one.draining = true;
        return;
      case "force":
        one.connections = 0;
        return;
      case "purge":
        one.purged = this.hasLogic;
        return;
      case "verify":
        one.verified = this.hasLogic;
        return;
      case "release":
        annotate(one.pod, action.intent);
        one.pod.metadata.finalizers = [];
        return;
      case "deletePod":
        this.#delete(one.pod, 30_000);
    }
  }

  #create(revision: string): void {
    const uid = `uid-${this.#made++}`;
    const owner = { apiVersion: "imcluster.io/v1alpha1", kind: "ImCluster", name: "demo", uid: OWNER };
    const pod: Pod = {
      metadata: {
        name: `demo-entry-${uid}`,
        uid,
        labels: { [LABEL.revision]: revision },
        finalizers: [FINALIZER.entry],
        ownerReferences: [owner],
      },
      spec: { containers: [], nodeName: this.#schedulableNode() },
      status: { phase: "Pending" },
    };
    const fresh = { connections: 0, cordoned: false, draining: false, purged: false, verified: false };
    this.#pods.set(uid, { pod, madeMs: this.#nowMs, ...fresh });
  }

  /** In turn, but none that is being emptied, unless all are. */
  #schedulableNode(): string {
    const names = Array.from({ length: NODES }, (_, at) => nodeName(this.#made + at));
    return names.find((name) => !this.#leavingNodes.has(name)) ?? nodeName(this.#made);
  }

  #becomeReady(one: SimulatedEntry): void {
    if (one.pod.metadata.deletionTimestamp || isEnded(one.pod) || one.cordoned) return;
    const state = { running: {} };
    one.pod.status = { phase: "Running", containerStatuses: [{ name: "entry", ready: true, restartCount: 0, state }] };
    setReady(one.pod, true);
  }

  #delete(pod: Pod, graceMs: number): void {
    pod.metadata.deletionTimestamp ??= new Date(this.#nowMs + graceMs).toISOString();
  }

  /** The API server removes what is deleted, ended and held by nobody. */
  #collect(): void {
    for (const [uid, { pod }] of this.#pods) {
      const isFree = pod.metadata.deletionTimestamp && (pod.metadata.finalizers ?? []).length === 0;
      if (isFree && (isEnded(pod) || !isRunning(pod))) this.#pods.delete(uid);
    }
  }

  #probe({ pod, connections, cordoned, draining }: SimulatedEntry): EntryProbe | undefined {
    if (!isRunning(pod)) return undefined;
    return { connections, sessions: connections, cordoned, draining, atMs: 0 };
  }

  #nth(nth: number): SimulatedEntry | undefined {
    const all = [...this.#pods.values()];
    return all[nth % Math.max(1, all.length)];
  }
}

function annotate(pod: Pod, intent: DrainIntent): void {
  pod.metadata.annotations = { ...pod.metadata.annotations, [ANNOTATION.drain]: JSON.stringify(intent) };
}

function isEnded(pod: Pod): boolean {
  return pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded";
}

function isRunning(pod: Pod): boolean {
  return pod.status?.phase === "Running";
}

function end(one: SimulatedEntry, phase: "Failed" | "Succeeded"): void {
  if (isEnded(one.pod)) return;
  one.connections = 0;
  const state = { terminated: { exitCode: 1 } };
  const hasRun = isRunning(one.pod);
  one.pod.status = {
    phase,
    containerStatuses: hasRun ? [{ name: "entry", ready: false, restartCount: 0, state }] : [],
  };
}

function setReady(pod: Pod, isReady: boolean): void {
  if (!isRunning(pod)) return;
  pod.status = { ...pod.status, conditions: [{ type: "Ready", status: isReady ? "True" : "False" }] };
}
