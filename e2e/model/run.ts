// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { isPlanned } from "../../operator/imcluster/drain.ts";
import { drainsAtOnce } from "../../operator/imcluster/entry-drains.ts";
import type { EntryAction, EntryPlanInput } from "../../operator/imcluster/entry-plan.ts";
import { planEntries } from "../../operator/imcluster/entry-pods.ts";
import { isSurgeShort } from "../../operator/imcluster/entry-rollout.ts";
import { isActive, type ObservedEntry } from "../../operator/imcluster/observed.ts";
import { Random } from "../sim/random.ts";
import { isReady, SimCluster, STEP_MS } from "./cluster.ts";
import { disturb, endTrouble } from "./nemesis.ts";
import { BUDGET, HASTY_LIMITS, ModelOperator } from "./operator.ts";
import { isSettled, updateSpec } from "./settled.ts";

export interface SeedResult {
  seed: number;
  steps: number;
  passes: number;
  faults: number;
  upgrades: number;
  /** What was promised and not kept; empty when all is well. */
  violations: string[];
}

const CAPACITY = 9;
/** Until a disturbed cluster is as wanted again: a whole upgrade in batches without room, with a canary, takes that long. */
const SETTLE_STEPS = (40 * 60_000) / STEP_MS;
/** Leases that begin within a second: each asks its first client at once. */
const LEASES = 3;
/** Routes of a dead pod are gone after this, whoever is down: its lease ends. */
const ROUTE_MS = 15_000;

/** One cluster, one operator, one sequence of faults and changes: all of it follows from the seed. */
export function runSeed(seed: number): SeedResult {
  const violations: string[] = [];
  const random = new Random(seed, "model");
  const isCalm = seed % 4 === 0;
  const cluster = new SimCluster(new Random(seed, "cluster"), {
    ...{ nodes: random.int(2, 3), capacity: CAPACITY, clients: random.int(10, 60) },
  });
  const spec = {
    ...{ replicas: random.int(1, 6), revision: "r1", approved: undefined },
    update: updateSpec({ strategy: random.pick(["BlueGreen", "BlueGreen", "Batched"]) }),
    maxConnectionsPerPod: random.pick([20, 1_000]),
  };
  const note = (text: string) => {
    if (violations.length < 10) violations.push(`${((cluster.nowMs - 1.7e12) / 1000).toFixed(1)} s: ${text}`);
  };
  const operator = new ModelOperator(cluster, new Random(seed, "operator"), spec, (input, actions) =>
    judge(input, actions, note),
  );
  if (seed % 5 === 0) operator.drain = HASTY_LIMITS;
  const life = new Life(cluster, operator, note);
  try {
    life.settle("at first");
    if (isCalm) life.upgradeInPeace(random);
    else life.disturbAndHeal(random);
  } catch (error) {
    note(error instanceof Error ? error.message : String(error));
  }
  return {
    ...{ seed, steps: life.steps, passes: operator.passes, faults: life.faults, upgrades: life.upgrades, violations },
  };
}

/** What has to hold of each single plan, whatever the operator sees. */
function judge(input: EntryPlanInput, actions: readonly EntryAction[], note: (text: string) => void): void {
  if (!isDeepStrictEqual(planEntries(input), actions)) note("the same observation gives another plan");
  const { entries, replicas, revision, update } = input;
  const active = entries.filter(isActive);
  const isReadyNew = (entry: ObservedEntry) => entry.isReady && entry.revision === revision;
  const starts = actions.filter((action) => action.kind === "setDrain" && action.entry.intent === undefined);
  const lost = starts.filter((action) => "entry" in action && isActive(action.entry) && action.entry.isReady);
  const left = active.filter(({ isReady: ready }) => ready).length - lost.length;
  if (lost.length > 0 && left < replicas) {
    const isBatched = update.strategy === "Batched" || isSurgeShort(input);
    const isEnough = isBatched && active.filter(isReadyNew).length >= update.batch;
    if (!isEnough) note(`${left} of ${replicas} entries would take connections`);
  }
  const made = actions.filter(({ kind }) => kind === "createEntry").length;
  const total = active.length + made + actions.filter(({ kind }) => kind === "abortDrain").length;
  if (made > 0 && total > 2 * replicas) note(`${total} entries besides those that leave, ${replicas} are wanted`);
  const asking = entries.filter((entry) => !entry.isDead && !entry.isTerminating && isAskedOf(entry));
  const asked = actions.filter(
    (action) => action.kind === "setDrain" && action.intent.phase === "Draining" && isPlanned(action.intent.reason),
  );
  if (asked.length > 0 && asking.length + asked.length > Math.max(drainsAtOnce(input), asking.length))
    note(`${asking.length + asked.length} entries ask their clients at the same time`);
}

/** Not one that somebody else deletes: it goes by its own window. */
function isAskedOf({ intent }: ObservedEntry): boolean {
  return intent?.phase === "Draining" && isPlanned(intent.reason);
}

class Life {
  steps = 0;
  faults = 0;
  upgrades = 0;
  readonly #cluster: SimCluster;
  readonly #operator: ModelOperator;
  readonly #note: (text: string) => void;
  /** When a UID was first seen to be dead with routes left. */
  readonly #ghosts = new Map<string, number>();

  constructor(cluster: SimCluster, operator: ModelOperator, note: (text: string) => void) {
    this.#cluster = cluster;
    this.#operator = operator;
    this.#note = note;
  }

  step(): void {
    this.steps++;
    this.#cluster.step();
    this.#operator.pass();
    this.#watchRoutes();
    this.#watchRate();
  }

  /** As long as one operator lived, no second had more reconnects than the budget has. */
  #watchRate(): void {
    const { asks, nowMs } = this.#cluster;
    asks.sort((a, b) => a - b);
    while ((asks[0] ?? nowMs) < nowMs - 2_000) asks.shift();
    if (this.#operator.deaths > 0) return;
    for (const [index, atMs] of asks.entries()) {
      const count = asks.slice(index).filter((other) => other - atMs < 1_000).length;
      if (count > BUDGET.maxPerSecond + LEASES) this.#note(`${count} clients were asked within a second`);
    }
  }

  #watchRoutes(): void {
    const { routes, nowMs } = this.#cluster;
    for (const uid of routes.keys()) {
      const sinceMs = this.#ghosts.get(uid) ?? nowMs;
      this.#ghosts.set(uid, sinceMs);
      if (nowMs - sinceMs > ROUTE_MS) this.#note(`routes of ${uid} are there ${nowMs - sinceMs} ms after its death`);
    }
  }

  isSettled(): boolean {
    return isSettled(this.#cluster, this.#operator);
  }

  /** @param mayAbort a canary may still be given up for what was broken before: then somebody takes the change back, once */
  settle(when: string, mayAbort = false): void {
    let isTakenBack = !mayAbort;
    for (let left = SETTLE_STEPS; !this.isSettled(); left--) {
      if (!isTakenBack && this.#operator.record?.phase === "Aborted") {
        isTakenBack = true;
        endTrouble(this.#cluster, this.#operator);
      }
      assert.ok(
        left > 0,
        `${when}: not as wanted after ${(SETTLE_STEPS * STEP_MS) / 60_000} minutes:\n${this.describe()}`,
      );
      this.step();
    }
    const rest = this.#operator.planNow().filter(({ kind }) => kind !== "wait");
    if (rest.length > 0) this.#note(`${when}: something is left to do: ${rest.map(({ kind }) => kind).join(", ")}`);
    for (const [uid, { wasPurged, wasLate }] of this.#operator.released)
      if (!wasPurged && !wasLate) this.#note(`${uid} went without a purge, and nobody was told`);
  }

  /**
   * One upgrade, or one and its rollback after it: nobody reconnects more than once for each, although calls of the operator fail,
   * it dies, and hears late of what happens.
   */
  upgradeInPeace(random: Random): void {
    const { spec } = this.#operator;
    if (random.chance(0.7)) {
      const rates = { failure: random.next() * 0.7, crash: random.chance(0.3) ? 0.01 : 0 };
      this.#operator.trouble = { ...rates, staleMs: random.int(0, 1_500) };
    }
    for (const revision of random.chance(0.3) ? ["r2", "r1"] : ["r2"]) {
      this.#cluster.forgetMoves();
      this.upgrades++;
      spec.revision = revision;
      const hasRoom = this.#hasRoom();
      while (!this.isSettled() && this.steps < 3 * SETTLE_STEPS) {
        this.step();
        const accepting = this.#cluster.accepting().length;
        const least = spec.update.strategy === "Batched" ? 1 : spec.replicas;
        if (accepting < least) this.#note(`${accepting} entries take connections, ${least} should at least`);
      }
      this.settle(`update to ${revision}`);
      const most = Math.max(...this.#cluster.clients.map(({ moves }) => moves));
      if (hasRoom && most > 1)
        this.#note(`a client reconnected ${most} times for one upgrade (${spec.update.strategy})`);
    }
  }

  /** In batches, may a batch of new entries take everybody? */
  #hasRoom(): boolean {
    const { spec } = this.#operator;
    return spec.update.strategy === "BlueGreen" || spec.maxConnectionsPerPod >= 1_000;
  }

  disturbAndHeal(random: Random): void {
    const events = random.int(3, 14);
    for (let event = 0; event < events; event++) {
      if (disturb(this.#cluster, this.#operator, random)) this.upgrades++;
      this.faults++;
      for (let wait = random.int(1, 80); wait > 0; wait--) this.step();
    }
    endTrouble(this.#cluster, this.#operator);
    this.settle("after the faults", true);
  }

  describe(): string {
    const { spec, record } = this.#operator;
    const rows = [...this.#cluster.pods.values()].map((one) =>
      JSON.stringify({
        ...{ uid: one.uid, revision: one.revision, isReady: isReady(one), clients: one.clients.size },
        ...{ node: one.node?.name, phase: one.pod.status?.phase, metadata: one.pod.metadata.annotations },
        deletion: one.pod.metadata.deletionTimestamp,
      }),
    );
    const plan = this.#operator.planNow().map((action) => `${action.kind}: ${action.reason}`);
    const lost = this.#cluster.clients.filter(({ at }) => !at).length;
    return [JSON.stringify({ spec, record, lost }), ...rows, ...plan].join("\n");
  }
}
