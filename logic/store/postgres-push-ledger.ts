// SPDX-License-Identifier: Apache-2.0
import { bigintArray, textArray } from "./binary-array.ts";
import type { PostgresPool, Statement } from "./postgres-pool.ts";
import {
  MUTED_WINDOW,
  type OwedPush,
  type PushLedger,
  type PushMark,
  type UnpushedCount,
  type UnpushedRequest,
} from "./push-ledger.ts";
import { isMuted } from "./push-statements.ts";

const PUSHED_SEQS: Statement = {
  name: "pushed_seqs",
  text: "SELECT user_id, seq FROM push_mark WHERE user_id = ANY ($1::text[])",
};

/**
 * Rows are locked in key order, so that two batches do not deadlock. No mark is past the head: an intent from before a restore
 * may name a position that is yet to be given to a message.
 */
const RECORD_PUSHES: Statement = {
  name: "record_pushes",
  text: `WITH marks AS (
           SELECT m.user_id, least(max(m.seq), h.head) AS seq FROM unnest($1::text[], $2::bigint[]) AS m(user_id, seq)
             JOIN inbox_head h ON h.user_id = m.user_id GROUP BY m.user_id, h.head
         ), paid AS (
           DELETE FROM push_owed o USING marks WHERE o.user_id = marks.user_id AND o.seq <= marks.seq
         )
         INSERT INTO push_mark AS p (user_id, seq)
         SELECT user_id, seq FROM marks ORDER BY user_id COLLATE "C"
         ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq WHERE p.seq < excluded.seq`,
};

/**
 * $1 age in ms, $2 most appends, $3 platform class that counts ("" = any). Muted conversations are owed nothing: the debt
 * is for the newest message of another one. A newer message makes a debt free at once: it may not wait for the older
 * one's try.
 */
const FIND_UNPUSHED: Statement = {
  name: "find_unpushed",
  text: `WITH old AS (
           SELECT outbox_id FROM push_outbox WHERE stored_at <= clock_timestamp() - $1 * interval '1 millisecond'
            ORDER BY outbox_id LIMIT $2 FOR UPDATE SKIP LOCKED
         ), taken AS (
           DELETE FROM push_outbox o USING old WHERE o.outbox_id = old.outbox_id RETURNING o.user_ids, o.seqs
         ), due AS (
           SELECT u.user_id, max(u.seq) AS seq FROM taken, unnest(taken.user_ids, taken.seqs) AS u(user_id, seq)
            GROUP BY u.user_id
         ), late AS MATERIALIZED (
           SELECT user_id, seq, settled FROM (
             SELECT d.user_id, d.seq,
                    greatest((SELECT m.seq FROM push_mark m WHERE m.user_id = d.user_id),
                             (SELECT coalesce(max(v.acked_seq) FILTER (WHERE split_part(v.slot, '#', 1) = $3), max(v.acked_seq))
                                FROM device v WHERE v.user_id = d.user_id), 0) AS settled
               FROM due d) s
            WHERE seq > settled
         ), found AS (
           INSERT INTO push_owed AS o (user_id, seq)
           SELECT l.user_id, a.seq FROM late l
            CROSS JOIN LATERAL (
              SELECT i.seq
                FROM (SELECT seq, conversation_id FROM inbox
                       WHERE user_id = l.user_id AND seq > l.settled AND seq <= l.seq ORDER BY seq DESC LIMIT ${MUTED_WINDOW}) i
               WHERE NOT ${isMuted("l.user_id", "i.conversation_id")}
               ORDER BY i.seq DESC LIMIT 1) a
            ORDER BY l.user_id COLLATE "C"
           ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq, tries = 0, free_at = clock_timestamp()
            WHERE o.seq < excluded.seq
           RETURNING 1
         )
         SELECT (SELECT count(*) FROM taken), (SELECT count(*) FROM found)`,
};

/** $1 hold in ms, $2 most debts. */
const CLAIM_OWED: Statement = {
  name: "claim_owed",
  text: `WITH free AS (
           SELECT user_id FROM push_owed WHERE free_at <= clock_timestamp()
            ORDER BY free_at LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         UPDATE push_owed o
            SET tries = o.tries + 1, free_at = clock_timestamp() + $1 * interval '1 millisecond'
           FROM free WHERE o.user_id = free.user_id
         RETURNING o.user_id, o.seq, o.tries`,
};

/** {@link PushLedger} on PostgreSQL. Every statement is its own transaction. */
export class PostgresPushLedger implements PushLedger {
  readonly #pool: PostgresPool;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  async pushedSeqs(userIds: readonly string[]): Promise<Map<string, number>> {
    if (userIds.length === 0) return new Map();
    const rows = await this.#pool.run(PUSHED_SEQS, [textArray(userIds)]);
    return new Map(rows.map((row) => [String(row[0]), Number(row[1])]));
  }

  async recordPushes(marks: readonly PushMark[]): Promise<void> {
    if (marks.length === 0) return;
    await this.#pool.run(RECORD_PUSHES, [
      textArray(marks.map(({ userId }) => userId)),
      bigintArray(marks.map(({ inboxSeq }) => inboxSeq)),
    ]);
  }

  async findUnpushed({ olderThanMs, limit, readByClass = "" }: UnpushedRequest): Promise<UnpushedCount> {
    const [row] = await this.#pool.run(FIND_UNPUSHED, [olderThanMs, limit, readByClass]);
    return { appends: Number(row?.[0]), owed: Number(row?.[1]) };
  }

  async claimOwed({ holdMs, limit }: { holdMs: number; limit: number }): Promise<OwedPush[]> {
    const rows = await this.#pool.run(CLAIM_OWED, [holdMs, limit]);
    return rows.map((row) => ({ userId: String(row[0]), inboxSeq: Number(row[1]), tries: Number(row[2]) }));
  }
}
