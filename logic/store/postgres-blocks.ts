// SPDX-License-Identifier: Apache-2.0
import { textArray } from "./binary-array.ts";
import {
  type BlockChange,
  type BlockedPeer,
  type BlockList,
  type BlockResult,
  type BlockStore,
  MAX_BLOCKED,
} from "./blocks.ts";
import type { PostgresPool, Statement } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";

/** See change_blocks_v1 in migrations/. */
const CHANGE_BLOCKS: Statement = {
  name: "change_blocks",
  text: "SELECT outcome, version FROM change_blocks_v1($1, $2, $3, $4, $5, $6, $7)",
};

/** First row: the version. */
const LIST_BLOCKS: Statement = {
  name: "list_blocks",
  text: `SELECT coalesce((SELECT version FROM user_block_head WHERE user_id = $1), 0)::text, 0
          UNION ALL
         (SELECT blocked_id, 1 FROM user_block WHERE user_id = $1) ORDER BY 2, 1`,
};

const BLOCKERS: Statement = {
  name: "blockers_among",
  text: "SELECT user_id FROM user_block WHERE blocked_id = $1 AND user_id = ANY ($2::text[])",
};

const KINDS = ["unchanged", "changed", "full"] as const;

const idsOf = (peers: readonly BlockedPeer[]): Buffer => textArray(peers.map(({ peerId }) => peerId));

/** {@link BlockStore} in PostgreSQL. */
export class PostgresBlocks implements BlockStore {
  readonly #pool: PostgresPool;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  async change({ userId, block, unblock, atMs }: BlockChange): Promise<BlockResult> {
    const all = [...block, ...unblock];
    const conversations = textArray(all.map(({ conversationId }) => conversationId));
    const values = [userId, idsOf(block), idsOf(unblock), idsOf(all), conversations, MAX_BLOCKED, atMs];
    const [row] = await this.#pool.run(CHANGE_BLOCKS, values);
    return { kind: KINDS[number(row, 0)] ?? "unchanged", version: number(row, 1) };
  }

  async list(userId: string): Promise<BlockList> {
    const [first, ...rows] = await this.#pool.run(LIST_BLOCKS, [userId]);
    return { version: number(first, 0), userIds: rows.map((row) => text(row, 0)) };
  }

  async blockersAmong(userId: string, others: readonly string[]): Promise<string[]> {
    if (others.length === 0) return [];
    const rows = await this.#pool.run(BLOCKERS, [userId, textArray(others)]);
    return rows.map((row) => text(row, 0));
  }
}
