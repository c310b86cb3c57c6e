// SPDX-License-Identifier: Apache-2.0
import { MAX_MUTED, MUTE_KEEP_MS, type Mute, type MutePage, type MuteStore } from "./mutes.ts";
import type { PostgresPool, Row, Statement } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";

const COLUMNS = "user_id, until_ms - api_now_ms(), until_ms, reason";

/** $1 user, $2 for how long, $3 reason, $4 most. */
const SET: Statement = { name: "mute_set", text: "SELECT mute_set_v1($1, $2, $3, $4)::text" };

const FIND: Statement = {
  name: "mute_find",
  text: `SELECT ${COLUMNS} FROM mute WHERE user_id = $1 AND until_ms > api_now_ms()`,
};

/** $1 after which version, $2 most. */
const AFTER: Statement = {
  name: "mute_after",
  text: `SELECT ${COLUMNS}, m.version, v.version FROM mute_version v
           LEFT JOIN LATERAL (SELECT * FROM mute WHERE version > $1 ORDER BY version LIMIT $2) m ON true
          ORDER BY m.version`,
};

/** $1 how long ago they ended, $2 most. */
const PRUNE: Statement = {
  name: "mute_prune",
  text: `DELETE FROM mute WHERE user_id = ANY (ARRAY(
           SELECT user_id FROM mute WHERE until_ms < api_now_ms() - $1 ORDER BY until_ms LIMIT $2 FOR UPDATE SKIP LOCKED))
         RETURNING 1`,
};

/** {@link MuteStore} on PostgreSQL. */
export class PostgresMutes implements MuteStore {
  readonly #pool: Pick<PostgresPool, "run">;

  constructor(pool: Pick<PostgresPool, "run">) {
    this.#pool = pool;
  }

  async set(userId: string, forMs: number, reason: string): Promise<boolean> {
    const [row] = await this.#pool.run(SET, [userId, forMs, reason, MAX_MUTED]);
    return text(row, 0) === "true";
  }

  async find(userId: string): Promise<Mute | undefined> {
    const [row] = await this.#pool.run(FIND, [userId]);
    return row && toMute(row);
  }

  async after(version: number, limit: number): Promise<MutePage> {
    const rows = await this.#pool.run(AFTER, [version, limit]);
    const newest = number(rows[0], 5);
    const last = rows.at(-1);
    // Without a change there is one row, of the newest version alone.
    if (!last || last[0] === null) return { mutes: [], version, newest };
    return { mutes: rows.map(toMute), version: number(last, 4), newest };
  }

  async prune(limit: number): Promise<number> {
    return (await this.#pool.run(PRUNE, [MUTE_KEEP_MS, limit])).length;
  }
}

function toMute(row: Row): Mute {
  return { userId: text(row, 0), leftMs: number(row, 1), untilMs: number(row, 2), reason: text(row, 3) };
}
