// SPDX-License-Identifier: Apache-2.0
import type {
  Erasure,
  ErasureClaim,
  ErasureProgress,
  ErasureStage,
  ErasureStep,
  GovernanceStore,
  HeldThing,
  LegalHold,
  NewLegalHold,
} from "./governance.ts";
import type { PostgresPool, Row, Statement } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";

const ERASURE_COLUMNS = "user_id, state, keep_messages, erased, requested_ms, finished_ms";

/** $1 user, $2 keep its messages. */
const REQUEST_ERASURE: Statement = {
  name: "erasure_request",
  text: `SELECT ${ERASURE_COLUMNS} FROM erasure_request_v1($1, $2)`,
};

/** $1 user. */
const REQUEST_RETURN: Statement = {
  name: "erasure_return",
  text: `UPDATE erasure SET state = 'returning', stage = 'inbox', reached_seq = 0, until_seq = 0, held = 0, due_ms = api_now_ms(), lease = lease + 1
          WHERE user_id = $1 AND state = 'erased'`,
};

/** $1 user. */
const FIND_ERASURE: Statement = {
  name: "erasure_find",
  text: `SELECT ${ERASURE_COLUMNS} FROM erasure WHERE user_id = $1`,
};

/** $1 lease, ms. */
const CLAIM_ERASURE: Statement = {
  name: "erasure_claim",
  text: `UPDATE erasure SET due_ms = api_now_ms() + $1, lease = lease + 1
          WHERE user_id = (SELECT e.user_id FROM erasure e WHERE e.state <> 'erased' AND e.due_ms <= api_now_ms()
                            ORDER BY e.due_ms LIMIT 1 FOR UPDATE SKIP LOCKED)
          RETURNING user_id, lease, stage`,
};

/** $1 user, $2 lease, $3 most rows, $4 next lease ms, $5 settling ms. */
const STEP_ERASURE: Statement = {
  name: "erasure_step",
  text: "SELECT outcome, next_stage FROM erasure_step_v1($1, $2, $3, $4, $5)",
};

/** $1 user, $2 lease: its groups have been left. */
const END_GROUPS: Statement = {
  name: "erasure_groups_left",
  text: `UPDATE erasure SET stage = 'account' WHERE user_id = $1 AND lease = $2 AND stage = 'groups' RETURNING stage`,
};

/** $1 user, $2 lease, $3 pause ms. */
const RELEASE_ERASURE: Statement = {
  name: "erasure_release",
  text: "UPDATE erasure SET due_ms = api_now_ms() + $3, lease = lease + 1 WHERE user_id = $1 AND lease = $2",
};

const HOLD_COLUMNS = "kind, held_id, tenant, reason, created_ms, hold_id";

/** $1 kind, $2 id, $3 tenant, $4 reason. */
const HOLD: Statement = {
  name: "legal_hold",
  text: `INSERT INTO legal_hold AS h (kind, held_id, tenant, reason, created_ms) VALUES ($1, $2, $3, $4, api_now_ms())
         ON CONFLICT (kind, held_id) DO UPDATE SET tenant = h.tenant RETURNING ${HOLD_COLUMNS}`,
};

/** $1 tenant, $2 kind, $3 id. */
const RELEASE: Statement = {
  name: "legal_release",
  text: "DELETE FROM legal_hold WHERE tenant = $1 AND kind = $2 AND held_id = $3 RETURNING 1",
};

/** Not in the transaction of a release: who steps holds rows of these, and wants the holds. */
const RELEASED: Statement = {
  name: "erasure_released",
  text: "UPDATE erasure SET due_ms = api_now_ms() WHERE state = 'held'",
};

/** $1 tenant, $2 after which one, $3 most. */
const LIST_HOLDS: Statement = {
  name: "legal_holds",
  text: `SELECT ${HOLD_COLUMNS} FROM legal_hold WHERE tenant = $1 AND hold_id > $2 ORDER BY tenant, hold_id LIMIT $3`,
};

/** {@link GovernanceStore} on PostgreSQL; see migrations/0020_erasure.sql. */
export class PostgresGovernance implements GovernanceStore {
  readonly #pool: PostgresPool;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  async requestErasure(userId: string, keepMessages: boolean): Promise<Erasure> {
    return toErasure((await this.#pool.run(REQUEST_ERASURE, [userId, String(keepMessages)]))[0]);
  }

  async requestReturn(userId: string): Promise<Erasure | undefined> {
    await this.#pool.run(REQUEST_RETURN, [userId]);
    return await this.findErasure(userId);
  }

  async findErasure(userId: string): Promise<Erasure | undefined> {
    const [row] = await this.#pool.run(FIND_ERASURE, [userId]);
    return row && toErasure(row);
  }

  async claimErasure(leaseMs: number): Promise<ErasureClaim | undefined> {
    const [row] = await this.#pool.run(CLAIM_ERASURE, [leaseMs]);
    return row && { userId: text(row, 0), lease: number(row, 1), stage: text(row, 2) as ErasureStage };
  }

  async stepErasure({ userId, lease, stage }: ErasureClaim, step: ErasureStep): Promise<ErasureProgress> {
    if (stage === "groups") {
      const [left] = await this.#pool.run(END_GROUPS, [userId, lease]);
      return left ? { kind: "more", stage: "account" } : { kind: "lost" };
    }
    const { rows, leaseMs, settleMs } = step;
    const [row] = await this.#pool.run(STEP_ERASURE, [userId, lease, rows, leaseMs, settleMs]);
    if (!row || row[0] === null) return { kind: "lost" };
    return row[0] === "more" ? { kind: "more", stage: text(row, 1) as ErasureStage } : { kind: "rest" };
  }

  async releaseErasure({ userId, lease }: ErasureClaim, pauseMs: number): Promise<void> {
    await this.#pool.run(RELEASE_ERASURE, [userId, lease, pauseMs]);
  }

  async hold({ kind, id, tenant, reason }: NewLegalHold): Promise<LegalHold> {
    return toHold((await this.#pool.run(HOLD, [kind, id, tenant, reason]))[0]);
  }

  async release(tenant: string, { kind, id }: HeldThing): Promise<boolean> {
    const isReleased = (await this.#pool.run(RELEASE, [tenant, kind, id])).length > 0;
    if (isReleased) await this.#pool.run(RELEASED, []);
    return isReleased;
  }

  async listHolds(tenant: string, { after, limit }: { after: number; limit: number }): Promise<LegalHold[]> {
    return (await this.#pool.run(LIST_HOLDS, [tenant, after, limit])).map(toHold);
  }
}

function toErasure(row: Row | undefined): Erasure {
  return {
    userId: text(row, 0),
    state: text(row, 1) as Erasure["state"],
    keepMessages: text(row, 2) === "t",
    erasedMessages: number(row, 3),
    requestedMs: number(row, 4),
    finishedMs: number(row, 5),
  };
}

function toHold(row: Row | undefined): LegalHold {
  return {
    kind: text(row, 0) as LegalHold["kind"],
    id: text(row, 1),
    tenant: text(row, 2),
    reason: text(row, 3),
    createdMs: number(row, 4),
    holdId: number(row, 5),
  };
}
