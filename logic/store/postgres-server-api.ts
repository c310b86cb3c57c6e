// SPDX-License-Identifier: Apache-2.0
import { textArray } from "./binary-array.ts";
import type { PostgresPool, Row, Statement } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";
import {
  type ApiAnswer,
  type ApiAudit,
  type ApiRequestHold,
  type ApiRequestStart,
  type ApiRequestState,
  MIN_AUDIT_KEEP_MS,
  type NewApiAudit,
  type NewApiKey,
  PRUNE_ROWS,
  type ServerApiStore,
  type StoredApiKey,
} from "./server-api-store.ts";

const KEY_COLUMNS = `key_id, encode(secret_hash, 'hex'), tenant, name, array_to_json(scopes), expires_ms, created_ms,
  revoked_ms`;

const FIND_KEY: Statement = { name: "api_key_find", text: `SELECT ${KEY_COLUMNS} FROM api_key WHERE key_id = $1` };

/** $1 id, $2 hash in hex, $3 tenant, $4 name, $5 scopes, $6 when it expires. */
const ADD_KEY: Statement = {
  name: "api_key_add",
  text: `INSERT INTO api_key (key_id, secret_hash, tenant, name, scopes, expires_ms, created_ms, revoked_ms)
         VALUES ($1, decode($2, 'hex'), $3, $4, $5::text[], $6, api_now_ms(), 0)
         ON CONFLICT DO NOTHING RETURNING 1`,
};

/** $1 tenant, $2 after which id, $3 most. */
const LIST_KEYS: Statement = {
  name: "api_key_list",
  text: `SELECT ${KEY_COLUMNS} FROM api_key WHERE tenant = $1 AND key_id > $2 ORDER BY tenant, key_id LIMIT $3`,
};

const REVOKE_KEY: Statement = {
  name: "api_key_revoke",
  text: `INSERT INTO api_key AS k (key_id, secret_hash, tenant, name, scopes, expires_ms, created_ms, revoked_ms)
         VALUES ($1, '', '', '', '{}', 0, api_now_ms(), api_now_ms())
         ON CONFLICT (key_id) DO UPDATE SET revoked_ms = excluded.revoked_ms WHERE k.revoked_ms = 0`,
};

/** $1 tenant, $2 key, $3 digest in hex, $4 lease, $5 how long it is kept. */
const BEGIN_REQUEST: Statement = {
  name: "api_request_begin",
  text: `SELECT outcome, lease, known_status, known_body
           FROM api_request_begin_v1($1, $2, decode($3, 'hex'), $4, $5)`,
};

/** $1 tenant, $2 key, $3 hold, $4 status, $5 body. */
const FINISH_REQUEST: Statement = {
  name: "api_request_finish",
  text: `UPDATE api_request SET status = $4, body = $5
          WHERE tenant = $1 AND idempotency_key = $2 AND lease_ms = $3 AND status IS NULL RETURNING 1`,
};

/** $1 tenant, $2 key, $3 hold. */
const RELEASE_REQUEST: Statement = {
  name: "api_request_release",
  text: "DELETE FROM api_request WHERE tenant = $1 AND idempotency_key = $2 AND lease_ms = $3 AND status IS NULL",
};

const APPEND_AUDIT: Statement = {
  name: "api_audit_append",
  text: `INSERT INTO api_audit (tenant, at_ms, key_id, operation, target, status)
         SELECT tenant, api_now_ms(), key_id, operation, target, status
           FROM json_to_recordset($1) AS r(tenant text, key_id text, operation text, target text, status int)`,
};

/** $1 tenant, $2 before which id, $3 most. */
const READ_AUDIT: Statement = {
  name: "api_audit_read",
  text: `SELECT audit_id, at_ms, key_id, operation, target, status FROM api_audit
          WHERE tenant = $1 AND audit_id < $2 ORDER BY tenant DESC, audit_id DESC LIMIT $3`,
};

/** $1 how long the log is kept, $2 most rows of each. */
const PRUNE: Statement = {
  name: "api_prune",
  text: `WITH old_requests AS (
           DELETE FROM api_request WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM api_request WHERE expires_ms <= api_now_ms() ORDER BY expires_ms LIMIT $2 FOR UPDATE SKIP LOCKED))
           RETURNING 1),
         old_audit AS (
           DELETE FROM api_audit WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM api_audit WHERE at_ms < api_now_ms() - $1 ORDER BY at_ms LIMIT $2 FOR UPDATE SKIP LOCKED))
           RETURNING 1)
         SELECT (SELECT count(*) FROM old_requests) + (SELECT count(*) FROM old_audit)`,
};

/** {@link ServerApiStore} on PostgreSQL: lookups by key. */
export class PostgresServerApi implements ServerApiStore {
  readonly #pool: Pick<PostgresPool, "run">;

  constructor(pool: Pick<PostgresPool, "run">) {
    this.#pool = pool;
  }

  async findKey(keyId: string): Promise<StoredApiKey | undefined> {
    const [row] = await this.#pool.run(FIND_KEY, [keyId]);
    return row && toKey(row);
  }

  async addKey({ keyId, secretHash, tenant, name, scopes, expiresMs }: NewApiKey): Promise<boolean> {
    const values = [keyId, hex(secretHash), tenant, name, textArray(scopes), expiresMs];
    return (await this.#pool.run(ADD_KEY, values)).length > 0;
  }

  async listKeys(tenant: string, { after, limit }: { after: string; limit: number }): Promise<StoredApiKey[]> {
    return (await this.#pool.run(LIST_KEYS, [tenant, after, limit])).map(toKey);
  }

  async revokeKey(keyId: string): Promise<void> {
    await this.#pool.run(REVOKE_KEY, [keyId]);
  }

  async beginRequest(request: ApiRequestStart): Promise<ApiRequestState> {
    const { tenant, idempotencyKey, digest, leaseMs, keepMs } = request;
    const [row] = await this.#pool.run(BEGIN_REQUEST, [tenant, idempotencyKey, hex(digest), leaseMs, keepMs]);
    switch (text(row, 0)) {
      case "begun":
        return { kind: "begun", lease: number(row, 1) };
      case "running":
        return { kind: "running", leftMs: number(row, 1) };
      case "done":
        return { kind: "done", answer: { status: number(row, 2), body: row?.[3] ?? "" } };
      default:
        return { kind: "conflict" };
    }
  }

  async finishRequest(request: ApiRequestHold, { status, body }: ApiAnswer): Promise<boolean> {
    return (await this.#pool.run(FINISH_REQUEST, [...holdValues(request), status, body])).length > 0;
  }

  async releaseRequest(request: ApiRequestHold): Promise<void> {
    await this.#pool.run(RELEASE_REQUEST, holdValues(request));
  }

  async appendAudit(rows: readonly NewApiAudit[]): Promise<void> {
    if (rows.length === 0) return;
    const columns = rows.map(({ tenant, keyId, operation, target, status }) => ({
      ...{ tenant, key_id: keyId, operation, target, status },
    }));
    await this.#pool.run(APPEND_AUDIT, [JSON.stringify(columns)]);
  }

  async readAudit(tenant: string, { before, limit }: { before: number; limit: number }): Promise<ApiAudit[]> {
    const rows = await this.#pool.run(READ_AUDIT, [tenant, before || Number.MAX_SAFE_INTEGER, limit]);
    return rows.map((row) => ({
      ...{ tenant, auditId: number(row, 0), atMs: number(row, 1), keyId: text(row, 2) },
      ...{ operation: text(row, 3), target: text(row, 4), status: number(row, 5) },
    }));
  }

  async prune(auditKeepMs: number): Promise<number> {
    const [row] = await this.#pool.run(PRUNE, [Math.max(auditKeepMs, MIN_AUDIT_KEEP_MS), PRUNE_ROWS]);
    return number(row, 0);
  }
}

function toKey(row: Row): StoredApiKey {
  return {
    keyId: text(row, 0),
    secretHash: Buffer.from(text(row, 1), "hex"),
    tenant: text(row, 2),
    name: text(row, 3),
    scopes: JSON.parse(text(row, 4)) as string[],
    expiresMs: number(row, 5),
    createdMs: number(row, 6),
    revokedMs: number(row, 7),
  };
}

function holdValues({ tenant, idempotencyKey, lease }: ApiRequestHold): [string, string, number] {
  return [tenant, idempotencyKey, lease];
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
