// SPDX-License-Identifier: Apache-2.0
import { bigintArray, textArray } from "./binary-array.ts";
import type { PostgresPool, Statement } from "./postgres-pool.ts";
import { text } from "./rows.ts";

/** Tables that are swept because they have no partitions that could be dropped. */
export const SWEPT_TABLES = ["idempotency", "message_default", "inbox_default"] as const;
export type SweptTable = (typeof SWEPT_TABLES)[number];

/** Up to when things are too old. */
export interface Cutoffs {
  /** Of everybody. */
  cutoffMs: number;
  /** Later ones, of tenants. */
  tenantCutoffsMs: ReadonlyMap<string, number>;
}

/** One step of a sweep. */
export interface SweepStep {
  deleted: number;
  /** Blocks of the table. */
  totalBlocks: number;
  /** The sweep reached the end and begins anew. */
  isEnd: boolean;
}

/** Short steps of retention, one process at a time; undefined: another one is at it. */
export interface RetentionStore {
  /**
   * Makes the partitions of this month and `monthsAhead` more, and drops one partition that is wholly older than
   * `cutoffMs` and of which nothing is held. Resolves with its name, "" when there is none. Waits 0.2 s at most for readers: RETRYABLE then.
   */
  rollPartitions(cutoffMs: number, monthsAhead: number): Promise<string | undefined>;
  /** Partitions that are to be swept: too old and held, or with something too old for a tenant. */
  sweepable(cutoffs: Cutoffs): Promise<string[]>;
  /**
   * Deletes what is too old in the next `blocks` blocks of the table or partition, but not what a legal hold keeps. In a partition that
   * is not wholly too old for everybody, what is too old for its tenant.
   */
  sweep(table: string, cutoffs: Cutoffs, blocks: number): Promise<SweepStep | undefined>;
}

const ROLL: Statement = { name: "retention_partitions", text: "SELECT retention_partitions_v1($1, $2)" };
const SWEEP: Statement = {
  name: "retention_sweep",
  text: "SELECT deleted, total_blocks, is_end FROM retention_sweep_v2($1, $2, $3, $4, $5)",
};
const TARGETS: Statement = { name: "retention_targets", text: "SELECT t FROM retention_targets_v1($1, $2) AS t" };

/** {@link RetentionStore} on PostgreSQL. */
export class PostgresRetention implements RetentionStore {
  readonly #pool: PostgresPool;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  async rollPartitions(cutoffMs: number, monthsAhead: number): Promise<string | undefined> {
    const [row] = await this.#pool.run(ROLL, [cutoffMs, monthsAhead]);
    return row?.[0] ?? undefined;
  }

  async sweepable({ cutoffMs, tenantCutoffsMs }: Cutoffs): Promise<string[]> {
    const rows = await this.#pool.run(TARGETS, [cutoffMs, Math.max(0, ...tenantCutoffsMs.values())]);
    return rows.map((row) => text(row, 0));
  }

  async sweep(table: string, { cutoffMs, tenantCutoffsMs }: Cutoffs, blocks: number): Promise<SweepStep | undefined> {
    const tenants = [textArray([...tenantCutoffsMs.keys()]), bigintArray([...tenantCutoffsMs.values()])];
    const [row] = await this.#pool.run(SWEEP, [table, cutoffMs, blocks, ...tenants]);
    if (!row || row[0] === null) return undefined;
    return { deleted: Number(row[0]), totalBlocks: Number(row[1]), isEnd: row[2] === "t" };
  }
}
