// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { Counter, Metrics } from "#lib/metrics.ts";
import { Rounds } from "../rounds.ts";
import type { BroadcastStore } from "../store/broadcast-store.ts";
import type { ChangeStore } from "../store/changes.ts";
import type { PolicyStore } from "../store/policy-store.ts";
import { type Cutoffs, type RetentionStore, SWEPT_TABLES } from "../store/postgres-retention.ts";

/** How long things are kept. */
export interface RetentionLimits {
  /** Messages and inboxes. */
  keepMs: number;
  /** By tenant, where it is shorter. */
  tenantKeepMs?: ReadonlyMap<string, number>;
  /** Keys of resends; at least 7 days. */
  keepKeysMs: number;
  /** Broadcasts, after they were over or retracted. */
  keepBroadcastsMs: number;
}

/** What {@link RetentionJob} needs. */
export interface RetentionPorts {
  store: RetentionStore;
  /** What is about messages, in tables of its own. */
  changes: Pick<ChangeStore, "pruneChanges">;
  /** Orders and reports. */
  policy: Pick<PolicyStore, "prune">;
  broadcasts: Pick<BroadcastStore, "prune">;
  limits: RetentionLimits;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  log: Logger;
  metrics: RetentionMetrics;
}

/** Figures of the job. */
export interface RetentionMetrics {
  steps: Counter<"step" | "result">;
  deleted: Counter<"table">;
}

export function createRetentionMetrics(metrics: Metrics): RetentionMetrics {
  return {
    steps: metrics.counter("im_retention_steps_total", "Steps of retention by result.", ["step", "result"]),
    deleted: metrics.counter("im_retention_deleted_rows_total", "Rows deleted by sweeps.", ["table"]),
  };
}

const ROUND_MS = 60_000;
const PAUSE_MS = 100;
const MONTHS_AHEAD = 2;
/** Rows of one statement: about 10,000 keys, 50 ms. */
const STEP_BLOCKS = 250;
const PRUNE_ROWS = 2000;
/** A list has up to a million users, some megabytes. */
const PRUNE_BROADCASTS = 50;
/** A sweep of a table takes about so many rounds, six hours. */
const SWEEP_ROUNDS = 360;
/** That of a partition, of which there are several and large ones: a day. */
const PARTITION_ROUNDS = 1440;
const NO_TENANTS: ReadonlyMap<string, number> = new Map();
/** Bounds a round, whatever the size of a table: 16 MB a second at most. */
const MAX_STEPS = 500;

/**
 * Keeps the database from growing for ever: partitions of messages and inboxes are made ahead and dropped when they are
 * old, keys of resends are swept a few pages at a time. It never does much at once, so that nobody notices it.
 */
export class RetentionJob {
  readonly #ports: RetentionPorts;
  readonly #rounds: Rounds;
  #wake: () => void = () => undefined;

  constructor(ports: RetentionPorts) {
    this.#ports = ports;
    const { clock, random } = ports;
    this.#rounds = new Rounds({ everyMs: ROUND_MS, round: () => this.round(), clock, random });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves when the running step, if any, is done. */
  async stop(): Promise<void> {
    const stopped = this.#rounds.stop();
    this.#wake();
    await stopped;
  }

  /** One round: all partitions that are too old, then a part of each sweep. Never rejects. */
  async round(): Promise<void> {
    const { clock, limits } = this.#ports;
    const nowMs = clock.wallMs();
    try {
      if (!(await this.#partitions(nowMs - limits.keepMs))) return;
      const cutoffs = cutoffsOf(limits, nowMs);
      const keys: Cutoffs = { cutoffMs: nowMs - limits.keepKeysMs, tenantCutoffsMs: NO_TENANTS };
      for (const table of SWEPT_TABLES)
        if (!(await this.#sweep(table, table === "idempotency" ? keys : cutoffs, SWEEP_ROUNDS))) return;
      for (const partition of await this.#ports.store.sweepable(cutoffs))
        if (!(await this.#sweep(partition, cutoffs, PARTITION_ROUNDS))) return;
      await this.#pruneBroadcasts(nowMs - limits.keepBroadcastsMs);
      await this.#prune(nowMs - limits.keepMs);
    } catch (error) {
      this.#ports.metrics.steps.inc({ step: "round", result: "failed" });
      this.#ports.onFault("retention", error);
    }
  }

  /** False when another process works, or this one stops. */
  async #partitions(cutoffMs: number): Promise<boolean> {
    const { store, log, metrics } = this.#ports;
    for (let count = 0; count < MAX_STEPS; count++) {
      const dropped = await store.rollPartitions(cutoffMs, MONTHS_AHEAD);
      metrics.steps.inc({ step: "partitions", result: resultOf(dropped) });
      if (dropped === undefined) return false;
      if (dropped === "") return true;
      log.info({ partition: dropped }, "a partition was older than retention and is dropped");
      if (!(await this.#pause())) return false;
    }
    return true;
  }

  async #sweep(name: string, cutoffs: Cutoffs, rounds: number): Promise<boolean> {
    const { store, metrics } = this.#ports;
    const table = name.replace(MONTH, "");
    let steps = 1;
    for (let count = 0; count < steps; count++) {
      const step = await store.sweep(name, cutoffs, STEP_BLOCKS);
      metrics.steps.inc({ step: table, result: step ? "done" : "busy" });
      if (!step) return false;
      metrics.deleted.inc({ table }, step.deleted);
      if (step.isEnd) return true;
      steps = Math.min(MAX_STEPS, Math.ceil(step.totalBlocks / STEP_BLOCKS / rounds));
      if (!(await this.#pause())) return false;
    }
    return true;
  }

  /** One portion in a round: there are few. */
  async #pruneBroadcasts(cutoffMs: number): Promise<void> {
    const { broadcasts, metrics } = this.#ports;
    const deleted = await broadcasts.prune(cutoffMs, PRUNE_BROADCASTS);
    metrics.steps.inc({ step: "broadcasts", result: "done" });
    metrics.deleted.inc({ table: "broadcasts" }, deleted);
  }

  /** By an index on the time: these tables are small beside those of messages. */
  async #prune(cutoffMs: number): Promise<void> {
    const { changes, policy, metrics } = this.#ports;
    metrics.deleted.inc({ table: "policy" }, await policy.prune(cutoffMs, PRUNE_ROWS));
    for (let count = 0; count < MAX_STEPS; count++) {
      const deleted = await changes.pruneChanges(cutoffMs, PRUNE_ROWS);
      metrics.steps.inc({ step: "changes", result: "done" });
      metrics.deleted.inc({ table: "changes" }, deleted);
      if (deleted === 0 || !(await this.#pause())) return;
    }
  }

  /** Lets others at the database; false when it is time to stop. */
  async #pause(): Promise<boolean> {
    if (this.#rounds.isStopped) return false;
    await new Promise<void>((resolve) => {
      const cancel = this.#ports.clock.after(PAUSE_MS, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    return !this.#rounds.isStopped;
  }
}

/** Of a partition, for its figures: there are few of them then. */
const MONTH = /_y\d{4}m\d{2}$/;

/** Tenants whose time is longer than everybody's have that one: partitions go as a whole. */
function cutoffsOf({ keepMs, tenantKeepMs = NO_TENANTS }: RetentionLimits, nowMs: number): Cutoffs {
  const shorter = [...tenantKeepMs].filter(([, tenantMs]) => tenantMs < keepMs);
  return {
    cutoffMs: nowMs - keepMs,
    tenantCutoffsMs: new Map(shorter.map(([tenant, tenantMs]) => [tenant, nowMs - tenantMs])),
  };
}

function resultOf(dropped: string | undefined): string {
  if (dropped === undefined) return "busy";
  return dropped === "" ? "done" : "dropped";
}
