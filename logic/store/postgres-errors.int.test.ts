// SPDX-License-Identifier: Apache-2.0
// What PostgreSQL's own errors become.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { sharedPostgres } from "../../e2e/harness/postgres.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { startProxy } from "../../e2e/harness/proxy.ts";
import { isConflict, toStoreError } from "./postgres-errors.ts";
import { PostgresPool, type Statement } from "./postgres-pool.ts";

let counter = 0;
const statement = (text: string): Statement => ({ name: `s${counter++}`, text });
const code = (expected: ErrorCode) => (error: unknown) => error instanceof ImError && error.code === expected;

describe("PostgresPool", () => {
  let url: string;
  let pool: PostgresPool;
  let admin: pg.Client;
  before(async () => {
    url = await (await sharedPostgres()).createDatabase("errors");
    pool = new PostgresPool({ url, name: "errors-test", connections: 2, maxWaiting: 4, waitTimeoutMs: 500 });
    admin = new pg.Client({ connectionString: url });
    await admin.connect();
    await admin.query("CREATE TABLE t (id int PRIMARY KEY, n int)");
    await admin.query("INSERT INTO t VALUES (1, 0), (2, 0)");
  });
  after(async () => {
    await admin.end();
    await pool.close();
  });

  it("returns rows of raw text", async () => {
    assert.deepEqual(await pool.run(statement("SELECT $1::int, true, NULL, 'é'"), [7]), [["7", "t", null, "é"]]);
  });

  it("maps a killed connection to RETRYABLE and replaces it", async () => {
    const kill = statement("SELECT pg_terminate_backend(pg_backend_pid())");
    await assert.rejects(pool.run(kill, []), code(ErrorCode.RETRYABLE));
    assert.deepEqual(await pool.run(statement("SELECT 1"), []), [["1"]]);
  });

  it("survives idle connections being killed", async () => {
    await pool.run(statement("SELECT 1"), []);
    await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'errors-test'");
    await waitUntil("the pool noticed", () => pool.state.total === 0);
    assert.deepEqual(await pool.run(statement("SELECT 1"), []), [["1"]]);
  });

  it("maps a read-only server to RETRYABLE", async () => {
    await admin.query("ALTER DATABASE errors SET default_transaction_read_only = on");
    const readOnly = new PostgresPool({ url, name: "ro", connections: 1, maxWaiting: 1, waitTimeoutMs: 500 });
    try {
      await assert.rejects(readOnly.run(statement("UPDATE t SET n = 1"), []), code(ErrorCode.RETRYABLE));
    } finally {
      await readOnly.close();
      await admin.query("ALTER DATABASE errors RESET default_transaction_read_only");
    }
  });

  it("maps too many connections to RETRYABLE", async () => {
    await admin.query("CREATE ROLE narrow LOGIN CONNECTION LIMIT 0");
    const narrow = new PostgresPool({
      url: url.replace("postgres@", "narrow@"),
      name: "narrow",
      connections: 1,
      maxWaiting: 1,
      waitTimeoutMs: 500,
    });
    await assert.rejects(narrow.run(statement("SELECT 1"), []), code(ErrorCode.RETRYABLE));
    await narrow.close();
  });

  it("maps a NUL to BAD_REQUEST, a fault of ours to INTERNAL, and keeps the connection", async () => {
    const backend = statement("SELECT pg_backend_pid()");
    const single = new PostgresPool({ url, name: "single", connections: 1, maxWaiting: 1, waitTimeoutMs: 500 });
    try {
      const [pid] = await single.run(backend, []);
      await assert.rejects(single.run(statement("SELECT $1::text"), ["a\0b"]), code(ErrorCode.BAD_REQUEST));
      await assert.rejects(single.run(statement("SELECT no_such_column"), []), code(ErrorCode.INTERNAL));
      await assert.rejects(single.run(statement("INSERT INTO t VALUES (1, 1)"), []), code(ErrorCode.INTERNAL));
      assert.deepEqual(await single.run(backend, []), [pid]);
    } finally {
      await single.close();
    }
  });

  it("bounds the wait for a connection in time and in number", async () => {
    await admin.query("SELECT pg_advisory_lock(7)");
    const hold = statement("SELECT pg_advisory_lock_shared(7)");
    const holders = [pool.run(hold, []), pool.run(hold, [])];
    await waitUntil("both connections are taken", () => pool.state.idle === 0 && pool.state.waiting === 0);
    const waiters = Array.from({ length: 4 }, () => pool.run(statement("SELECT 1"), []));
    await assert.rejects(pool.run(statement("SELECT 1"), []), code(ErrorCode.BUSY));
    for (const waiter of waiters) await assert.rejects(waiter, code(ErrorCode.RETRYABLE));
    await admin.query("SELECT pg_advisory_unlock(7)");
    await Promise.all(holders);
    assert.deepEqual(await pool.run(statement("SELECT 1"), []), [["1"]]);
  });

  it("gives up a statement that takes too long, and a server that does not answer at all", async () => {
    const proxy = await startProxy(Number(new URL(url).port));
    const throughProxy = url.replace(new URL(url).host, `127.0.0.1:${proxy.port}`);
    const impatient = { url: throughProxy, name: "impatient", connections: 1, maxWaiting: 1, waitTimeoutMs: 500 };
    const slow = new PostgresPool({ ...impatient, statementTimeoutMs: 1000 });
    try {
      await assert.rejects(slow.run(statement("SELECT pg_sleep(60)"), []), /statement timeout/);
      await slow.run(statement("SELECT 1"), []);
      proxy.mode = "swallow";
      await assert.rejects(slow.run(statement("SELECT 1"), []), code(ErrorCode.RETRYABLE));
      proxy.mode = "pass";
      assert.deepEqual(await slow.run(statement("SELECT 1"), []), [["1"]]);
    } finally {
      await slow.close();
      await proxy.close();
    }
  });

  it("takes a lost connection for one, but no statement that took too long and no mistake of ours", async () => {
    let lost = 0;
    const watched = new PostgresPool({
      ...{ url, name: "watched", connections: 1, maxWaiting: 1, waitTimeoutMs: 10_000, statementTimeoutMs: 1000 },
      onLost: () => lost++,
    });
    const mistakes = [new TypeError("ours"), new RangeError("ours"), new ImError(ErrorCode.INTERNAL, "ours")];
    try {
      await assert.rejects(watched.run(statement("SELECT pg_sleep(60)"), []), /57014/);
      for (const mistake of mistakes)
        await assert.rejects(
          watched.readRaw("mistake", () => Promise.reject(mistake)),
          code(ErrorCode.INTERNAL),
        );
      assert.equal(lost, 0);
      await assert.rejects(watched.run(statement("SELECT pg_terminate_backend(pg_backend_pid())"), []));
      assert.equal(lost, 1);
    } finally {
      await watched.close();
    }
  });

  it("does not use a connection that was on its way when it was renewed", async (t) => {
    const young = new PostgresPool({ url, name: "young", connections: 1, maxWaiting: 1, waitTimeoutMs: 10_000 });
    try {
      const connect = t.mock.method(pg.Client.prototype, "connect");
      const answer = young.run(statement("SELECT 1"), []);
      assert.equal(connect.mock.callCount(), 1, "on its way");
      young.renew();
      assert.deepEqual(await answer, [["1"]]);
      assert.equal(connect.mock.callCount(), 2);
    } finally {
      await young.close();
    }
  });

  it("repeats a statement that lost a deadlock", async () => {
    const lock = (first: number, second: number): Statement =>
      statement(`DO $$ BEGIN UPDATE t SET n = n + 1 WHERE id = ${first}; PERFORM pg_sleep(0.3);
        UPDATE t SET n = n + 1 WHERE id = ${second}; END $$`);
    await Promise.all([pool.run(lock(1, 2), []), pool.run(lock(2, 1), [])]);
    assert.deepEqual((await admin.query("SELECT n FROM t ORDER BY id")).rows, [{ n: 2 }, { n: 2 }]);
  });

  it("tells the observer names, durations and errors", async () => {
    const seen: unknown[] = [];
    const observed = new PostgresPool({
      url,
      name: "observed",
      connections: 1,
      maxWaiting: 1,
      waitTimeoutMs: 500,
      observe: (name, durationMs, error) => seen.push([name, durationMs >= 0, error?.code]),
    });
    const [good, bad] = [statement("SELECT 1"), statement("SELECT no_such_column")];
    await observed.run(good, []);
    await assert.rejects(observed.run(bad, []));
    await observed.close();
    assert.deepEqual(seen, [
      [good.name, true, undefined],
      [bad.name, true, ErrorCode.INTERNAL],
    ]);
  });
});

describe("toStoreError", () => {
  it("takes errors of the driver for lost connections, and our own mistakes for faults", () => {
    assert.equal(toStoreError(new Error("Connection terminated unexpectedly"), "q").code, ErrorCode.RETRYABLE);
    assert.equal(toStoreError(new TypeError("x is not a function"), "q").code, ErrorCode.INTERNAL);
    const known = new ImError(ErrorCode.BUSY, "busy");
    assert.equal(toStoreError(known, "q"), known);
  });

  for (const [state, expected] of [
    ["53100", ErrorCode.RETRYABLE],
    ["53300", ErrorCode.RETRYABLE],
    ["57P01", ErrorCode.RETRYABLE],
    ["57014", ErrorCode.RETRYABLE],
    ["58030", ErrorCode.RETRYABLE],
    ["08006", ErrorCode.RETRYABLE],
    ["40001", ErrorCode.RETRYABLE],
    ["40P01", ErrorCode.RETRYABLE],
    ["25006", ErrorCode.RETRYABLE],
    ["55P03", ErrorCode.RETRYABLE],
    ["22021", ErrorCode.BAD_REQUEST],
    ["42P01", ErrorCode.INTERNAL],
    ["23505", ErrorCode.INTERNAL],
  ] as const) {
    it(`maps SQLSTATE ${state}`, () => {
      const error = new pg.DatabaseError("message", 0, "error");
      error.code = state;
      assert.equal(toStoreError(error, "q").code, expected);
      assert.equal(isConflict(error), state.startsWith("40"));
    });
  }
});
