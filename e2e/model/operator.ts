// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { EntryUpdateSpec, UpdateStatus } from "../../operator/api/v1alpha1.ts";
import { ClosingTime } from "../../operator/imcluster/closing-time.ts";
import { CrashBackoff } from "../../operator/imcluster/crash-backoff.ts";
import type { DrainLimits, DrainReport } from "../../operator/imcluster/drain.ts";
import { asDraining } from "../../operator/imcluster/drain-watch.ts";
import type { EntryAction, EntryPlanInput } from "../../operator/imcluster/entry-plan.ts";
import { planEntries } from "../../operator/imcluster/entry-pods.ts";
import { ANNOTATION, FINALIZER } from "../../operator/imcluster/names.ts";
import { isMoving, type ObservedEntry, observeEntry } from "../../operator/imcluster/observed.ts";
import { type RemainingWork, remainingWork } from "../../operator/imcluster/plan-status.ts";
import { ReconnectBudget } from "../../operator/imcluster/reconnect-budget.ts";
import type { BudgetLimits, ReceiverSignals } from "../../operator/imcluster/reconnect-rate.ts";
import { batchOf } from "../../operator/imcluster/rollout.ts";
import { updateGate } from "../../operator/imcluster/update-gate.ts";
import type { Pod } from "../../operator/kube/types.ts";
import type { Random } from "../sim/random.ts";
import { OWNER, type SimCluster, type SimPod } from "./cluster.ts";

/** The part of an ImCluster that the entries depend on. */
export interface ModelSpec {
  replicas: number;
  revision: string;
  update: EntryUpdateSpec;
  maxConnectionsPerPod: number;
  approved: string | undefined;
}

/** What an operator remembers; all of it is lost with the process. */
interface Memory {
  purged: Set<string>;
  verified: Set<string>;
  backoff: CrashBackoff;
  budget: ReconnectBudget;
  closing: ClosingTime;
}

const blank = (): Memory => ({
  ...{ purged: new Set(), verified: new Set(), backoff: new CrashBackoff(), budget: new ReconnectBudget() },
  closing: new ClosingTime(),
});

export interface Trouble {
  /** Chance that a write or call fails. */
  failure: number;
  /** Chance that the process dies before an action. */
  crash: number;
  /** News of other people's writes come this late. */
  staleMs: number;
}

export const CALM: Trouble = { failure: 0, crash: 0, staleMs: 0 };
export const LIMITS: DrainLimits = {
  ...{ windowMs: 4_000, deadlineMs: 12_000, onDeadline: "Force", lbDetachMs: 2_000, maxPerSecond: 12 },
};
/** Too short to ask everybody: the rest is closed. */
export const HASTY_LIMITS: DrainLimits = { ...LIMITS, windowMs: 1_000, deadlineMs: 2_000 };
const NOBODY: DrainReport = {
  ...{ initial: 0, asked: 0, forced: 0, returned: 0, absent: 0 },
  ...{ offlineP50Ms: 0, offlineP99Ms: 0, routesLeft: 0 },
};
const RESTART_MS = 8_000;
/** Small enough to be felt by the few clients there are, and fast enough for a drain within its deadline. */
export const BUDGET: BudgetLimits = { maxPerSecond: 12, minPerSecond: 12, loginP99Ms: 1_000, loginFailureRatio: 1 };
const LEASE_MS = 6_000;

/** Called before the actions of a pass are carried out. */
export type Judge = (input: EntryPlanInput, actions: readonly EntryAction[]) => void;

/** The real planner and gate over the simulated cluster, with what a real process does to them: it dies, is late, and fails. */
export class ModelOperator {
  readonly spec: ModelSpec;
  readonly released = new Map<string, { wasPurged: boolean; wasLate: boolean }>();
  /** As the status has it; survives the operator. */
  record: UpdateStatus | undefined;
  trouble: Trouble = CALM;
  limits: BudgetLimits = BUDGET;
  /** How receivers cope; nobody can say. */
  signals: ReceiverSignals | undefined;
  drain: DrainLimits = LIMITS;
  deaths = 0;
  passes = 0;
  readonly #cluster: SimCluster;
  readonly #random: Random;
  readonly #judge: Judge;
  #memory: Memory = blank();
  #downUntilMs = 0;
  /** What the cache shows of the status of pods, and since when. */
  #cache = new Map<string, Pod["status"]>();
  #cachedMs = 0;

  constructor(cluster: SimCluster, random: Random, spec: ModelSpec, judge: Judge) {
    this.#cluster = cluster;
    this.#random = random;
    this.spec = spec;
    this.#judge = judge;
  }

  get isDown(): boolean {
    return this.#downUntilMs > this.#cluster.nowMs;
  }

  die(): void {
    this.deaths++;
    this.#memory = blank();
    this.#downUntilMs = this.#cluster.nowMs + RESTART_MS;
    this.#cachedMs = 0;
  }

  /** One pass: observe, decide, act, write the status. */
  pass(): void {
    if (this.isDown) return;
    this.passes++;
    const entries = this.#observe();
    this.#memory.backoff.observe(entries, this.#cluster.nowMs);
    this.#memory.closing.look(entries, this.#cluster.nowMs);
    this.#divide(entries);
    const gate = this.#gate(entries);
    const input = this.input(entries, gate.stage);
    const actions = planEntries(input);
    this.#judge(input, actions);
    for (const action of actions) {
      if (this.#random.chance(this.trouble.crash)) {
        this.die();
        return;
      }
      if (!this.#random.chance(this.trouble.failure)) this.#perform(action);
    }
    if (this.#random.chance(this.trouble.crash)) this.die();
    else if (!this.#random.chance(this.trouble.failure)) this.record = gate.record;
  }

  /** What a fresh and undisturbed operator would do now. */
  planNow(): EntryAction[] {
    const entries = this.#present();
    return planEntries(this.input(entries, this.#gate(entries).stage));
  }

  /** What the status would say is left to do. */
  remaining(): RemainingWork {
    const entries = this.#present();
    const gate = this.#gate(entries);
    const ratePerSecond = this.#memory.budget.rateAt(this.#cluster.nowMs);
    const terms = { update: this.spec.update, budget: this.limits, ratePerSecond };
    return remainingWork(this.input(entries, gate.stage), gate, terms);
  }

  #present(): ObservedEntry[] {
    return [...this.#cluster.pods.values()].map((one) => this.#entry(one, one.pod));
  }

  input(entries: readonly ObservedEntry[], stage: EntryPlanInput["stage"]): EntryPlanInput {
    const { replicas, revision, update, maxConnectionsPerPod } = this.spec;
    const strategy = update.strategy as EntryPlanInput["update"]["strategy"];
    return {
      ...{ replicas, revision, stage, entries, createBlocked: undefined, drain: this.drain },
      update: { strategy, batch: batchOf(update.batch, replicas), maxConnectionsPerPod },
      createNotBeforeMs: this.#memory.backoff.notBeforeMs,
      ...{ hasLogic: this.#cluster.isLogicUp, nowMs: this.#cluster.nowMs },
    };
  }

  #gate(entries: readonly ObservedEntry[]) {
    const { update, replicas, revision, approved } = this.spec;
    return updateGate({
      ...{ update, replicas, revision, entries, mayRollOut: this.#cluster.isLogicUp, record: this.record, approved },
      ...{ object: "imc/demo -n shop", nowMs: this.#cluster.nowMs },
    });
  }

  /** Own writes are seen at once, what others write to pods may be late. */
  #observe(): ObservedEntry[] {
    const { nowMs, pods } = this.#cluster;
    if (nowMs - this.#cachedMs >= this.trouble.staleMs) {
      this.#cachedMs = nowMs;
      this.#cache = new Map([...pods.values()].map(({ uid, pod }) => [uid, pod.status]));
    }
    return [...pods.values()].map((one) => {
      const status = this.#cache.has(one.uid) ? this.#cache.get(one.uid) : { phase: "Pending" as const };
      return this.#entry(one, status ? { ...one.pod, status } : one.pod);
    });
  }

  #entry(one: SimPod, pod: Pod): ObservedEntry {
    return observeEntry(pod, {
      ...{ ownerUid: OWNER, probe: this.#cluster.probe(one), isPurged: this.#memory.purged.has(one.uid) },
      hadClosingTime: this.#memory.closing.hadTime(one.uid, this.limits.maxPerSecond),
      verification: this.#memory.verified.has(one.uid) ? { isDone: true, report: NOBODY } : undefined,
      nowMs: this.#cluster.nowMs,
    });
  }

  #perform(action: EntryAction): void {
    if (action.kind === "wait") return;
    if (action.kind === "createEntry") {
      this.#cluster.create(action.like?.revision ?? this.spec.revision);
      return;
    }
    const one = this.#cluster.pods.get(action.entry.uid);
    if (one) this.#performOn(one, action);
  }

  #performOn(one: SimPod, action: Exclude<EntryAction, { kind: "wait" | "createEntry" }>): void {
    const { metadata } = one.pod;
    const isReachable = this.#cluster.probe(one) !== undefined;
    switch (action.kind) {
      case "adopt":
        return;
      case "setDrain":
        metadata.annotations = { [ANNOTATION.drain]: JSON.stringify(action.intent) };
        return;
      case "abortDrain":
        if (action.entry.hasStarted && (!isReachable || one.drain)) return;
        one.cordoned = false;
        metadata.annotations = {};
        return;
      case "cordon":
        if (isReachable) one.cordoned = true;
        return;
      case "drain":
      case "force":
        // Past its deadline the entry closes what is left as leases come.
        if (isReachable) this.#drain(one, action.intent.id);
        return;
      case "verify":
        if (this.#cluster.isLogicUp) this.#memory.verified.add(one.uid);
        return;
      case "purge":
        if (!this.#cluster.isLogicUp) return;
        this.#cluster.routes.delete(one.uid);
        this.#memory.purged.add(one.uid);
        if (action.entry.intent?.phase === "Purging") one.isFenced = true;
        return;
      case "release":
        this.#release(one, action.entry);
        metadata.annotations = { [ANNOTATION.drain]: JSON.stringify(action.intent) };
        return;
      case "deletePod":
        this.#cluster.delete(one);
    }
  }

  #drain(one: SimPod, id: string): void {
    const lease = this.#memory.budget.take(one.uid, this.#cluster.nowMs, this.#cluster.nowMs);
    this.#cluster.order(one, { ...this.drain, id }, lease && { ...lease, ttlMs: LEASE_MS });
  }

  /** As every pass does while clients are asked. */
  #divide(entries: readonly ObservedEntry[]): void {
    const { budget } = this.#memory;
    const { nowMs } = this.#cluster;
    const moving = entries.filter(isMoving);
    if (moving.length === 0) return;
    budget.judge(this.signals, this.limits, nowMs);
    budget.divide(
      moving.map((entry) => asDraining(entry, nowMs)),
      this.drain.windowMs,
      nowMs,
    );
  }

  #release(one: SimPod, entry: ObservedEntry): void {
    const isBeyond = entry.intent?.phase === "Verifying";
    const wasPurged = this.#memory.purged.has(one.uid) || !one.hasServed || isBeyond;
    const wasLate = this.#cluster.nowMs >= Date.parse(entry.intent?.deadline ?? "");
    this.released.set(one.uid, { wasPurged, wasLate });
    assert.ok(wasPurged || wasLate || !entry.hasStarted, `${one.uid} was released before its purge`);
    one.pod.metadata.finalizers = (one.pod.metadata.finalizers ?? []).filter((name) => name !== FINALIZER.entry);
  }
}
