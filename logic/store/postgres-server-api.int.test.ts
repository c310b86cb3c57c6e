// SPDX-License-Identifier: Apache-2.0
// What the contract suite cannot see: that the database itself refuses to change the audit log.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { newStore } from "../../e2e/harness/database.ts";
import type { PostgresStore } from "./postgres-store.ts";
import { MIN_AUDIT_KEEP_MS } from "./server-api-store.ts";

const DAY_MS = 86_400_000;
const INSERT = `INSERT INTO api_audit (tenant, at_ms, key_id, operation, target, status)
                SELECT $1, $2, 'k', 'kickUser', n::text, 200 FROM generate_series(1, $3::int) AS n`;

describe("the audit log in PostgreSQL", () => {
  let store: PostgresStore;
  let client: pg.Client;
  before(async () => {
    const made = await newStore("api_audit");
    store = made.store;
    client = new pg.Client({ connectionString: made.url });
    await client.connect();
  });
  after(async () => {
    await client.end();
    await store.close();
  });

  it("can be appended to, and changed by nobody", async () => {
    const row = { tenant: "", keyId: "k", operation: "kickUser", target: "bob", status: 200 };
    await store.serverApi.appendAudit([row]);
    for (const change of ["UPDATE api_audit SET target = 'eve'", "DELETE FROM api_audit", "TRUNCATE api_audit"])
      await assert.rejects(client.query(change), /append-only/, change);
    assert.equal((await store.serverApi.readAudit("", { before: 0, limit: 10 }))[0]?.target, "bob");
  });

  it("forgets what is old, some at a time, and nothing that is younger than 90 days", async () => {
    const old = Date.now() - MIN_AUDIT_KEEP_MS - DAY_MS;
    await client.query(INSERT, ["old", old, 1500]);
    await client.query(INSERT, ["young", Date.now() - DAY_MS, 10]);
    const counts = [];
    for (let round = 0; round < 3; round++) counts.push(await store.serverApi.prune(0));
    assert.deepEqual(counts, [1000, 500, 0]);
    assert.equal((await store.serverApi.readAudit("young", { before: 0, limit: 100 })).length, 10);
    assert.equal((await store.serverApi.readAudit("old", { before: 0, limit: 100 })).length, 0);
  });
});
