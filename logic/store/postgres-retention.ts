// SPDX-License-Identifier: Apache-2.0
import type { PostgresPool, Statement } from "./postgres-pool.ts";

/** Tables that are swept because they have no partitions that could be dropped. */
export const SWEPT_TABLES = ["idempotency", "message_default", "inbox_default"] as const;
export type SweptTable = (typeof SWEPT_TABLES)[number];

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
   * `cutoffMs`. Resolves with its name, "" when there is none. Waits 0.2 s at most for readers: RETRYABLE then.
   */
  rollPartitions(cutoffMs: number, monthsAhead: number): Promise<string | undefined>;
  /** Deletes what is older than `cutoffMs` in the next `blocks` blocks of the table. */
  sweep(table: SweptTable, cutoffMs: number, blocks: number): Promise<SweepStep | undefined>;
}

const ROLL: Statement = { name: "retention_partitions", text: "SELECT retention_partitions_v1($1, $2)" };
const SWEEP: Statement = {
  name: "retention_sweep",
  text: "SELECT deleted, total_blocks, is_end FROM retention_sweep_v1($1, $2, $3)",
};

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

  async sweep(table: SweptTable, cutoffMs: number, blocks: number): Promise<SweepStep | undefined> {
    const [row] = await this.#pool.run(SWEEP, [table, cutoffMs, blocks]);
    if (!row || row[0] === null) return undefined;
    return { deleted: Number(row[0]), totalBlocks: Number(row[1]), isEnd: row[2] === "t" };
  }
}
