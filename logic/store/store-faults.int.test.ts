// SPDX-License-Identifier: Apache-2.0
// Faults of PostgreSQL under sends: nothing answered is lost, nothing unknown is called failed, everything passes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { newStore } from "../../e2e/harness/database.ts";
import { type PostgresServer, startPostgres } from "../../e2e/harness/postgres.ts";
import { postgresUser } from "../../e2e/harness/postgres-files.ts";
import { startProxy } from "../../e2e/harness/proxy.ts";
import { appended, type ContractStore, direct, message, readAll, user } from "./contract/fixture.ts";
import { migrate } from "./migrate.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";
import type { AppendInput, AppendResult } from "./store.ts";

const isRetryable = (error: unknown): boolean => error instanceof ImError && error.code === ErrorCode.RETRYABLE;

/** Appends as a client would: the same inputs until there is an answer. */
async function insist(store: ContractStore, batch: readonly AppendInput[]): Promise<AppendResult[]> {
  for (let tries = 0; ; tries++) {
    try {
      return await store.append(batch);
    } catch (error) {
      assert.ok(isRetryable(error), `never a failure: ${String(error)}`);
      assert.ok(tries < 100, "it passes in the end");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

describe("faults of PostgreSQL under sends", () => {
  let server: PostgresServer;
  let store: PostgresStore;
  let url: string;
  let admin: pg.Client;
  before(async () => {
    server = await startPostgres();
    ({ store, url } = await newStore("faults", {}, server));
    admin = new pg.Client({ connectionString: url });
    admin.on("error", () => undefined);
    await admin.connect();
  });
  after(async () => {
    await admin.end();
    await store.close();
    await server.stop();
  });

  it("stores each message once when the answer to COMMIT is lost, 100 times over", async () => {
    const proxy = await startProxy(server.port);
    const remote = await openPostgresStore({
      url: url.replace(`:${server.port}`, `:${proxy.port}`),
      appendConnections: 1,
      // Messages addressed by their conversation alone are looked up first: the cut comes with the answer after that one.
      observe: (name) => {
        if (name === "append_lookup" && isArmed) proxy.mode = "cut";
      },
    });
    let isArmed = false;
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    await store.append([message({ sender: alice, peer: bob })]);
    try {
      let cuts = 0;
      for (let round = 0; round < 100; round++) {
        const batch = [alice, bob].map((sender) => message({ sender, peer: "", conversationId }));
        isArmed = true;
        await remote.append(batch).then(
          () => assert.fail("answered through a cut connection"),
          (error: unknown) => {
            assert.ok(isRetryable(error), String(error));
            cuts++;
          },
        );
        isArmed = false;
        proxy.mode = "pass";
        const again = await insist(
          remote,
          batch.map((input) => ({ ...input, messageId: randomUUID() })),
        );
        assert.deepEqual(
          again.map((result) => [result.kind, appended(result).messageId]),
          batch.map((input) => ["duplicate", input.messageId]),
        );
      }
      assert.equal(cuts, 100);
      const { events, head } = await readAll(store, bob);
      assert.deepEqual([events.length, head], [201, 201]);
      assert.equal(new Set(events.map((event) => `${event.sender} ${event.clientMessageId}`)).size, 201);
    } finally {
      await remote.close();
      await proxy.close();
    }
  });

  it("survives 50 writers on the same rows, and their inboxes stay gapless", async () => {
    const people = Array.from({ length: 6 }, user);
    const at = (index: number): string => people[index % people.length] ?? "";
    const writers = Array.from({ length: 50 }, async (_, writer) => {
      for (let round = 0; round < 4; round++) {
        const batch = Array.from({ length: 10 }, (_, n) =>
          message({ sender: at(writer + n), peer: at(writer * 7 + n * 5 + round + 1) }),
        );
        await insist(store, batch);
      }
    });
    await Promise.all(writers);
    let stored = 0;
    for (const person of people) {
      const { events, head } = await readAll(store, person);
      assert.deepEqual(
        events.map((event) => event.inboxSeq),
        Array.from({ length: head }, (_, index) => index + 1),
      );
      stored += events.filter((event) => event.sender === person).length;
    }
    assert.equal(stored, 50 * 4 * 10);
  });

  it("repeats a batch that lost a serialization conflict or a deadlock, with the same keys", async () => {
    await admin.query(`CREATE FUNCTION fail_twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('failures') <= 2 THEN RAISE EXCEPTION 'planned' USING ERRCODE = TG_ARGV[0]; END IF; RETURN NEW; END $$`);
    for (const state of ["40001", "40P01"]) {
      await admin.query("CREATE SEQUENCE failures");
      await admin.query(`CREATE TRIGGER planned BEFORE INSERT ON idempotency EXECUTE FUNCTION fail_twice('${state}')`);
      const [alice, bob] = [user(), user()];
      const [result] = await store.append([message({ sender: alice, peer: bob })]);
      assert.deepEqual([appended(result).kind, appended(result).convSeq], ["stored", 1]);
      assert.equal((await readAll(store, bob)).head, 1);
      await admin.query("DROP TRIGGER planned ON idempotency; DROP SEQUENCE failures");
    }
  });

  it("gives up a conflict that does not end, as retryable, and nothing is stored", async () => {
    await admin.query(`CREATE FUNCTION fail_always() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'planned' USING ERRCODE = '40001'; END $$;
      CREATE TRIGGER planned BEFORE INSERT ON idempotency EXECUTE FUNCTION fail_always()`);
    const input = message({ sender: user(), peer: user() });
    await assert.rejects(store.append([input]), isRetryable);
    await admin.query("DROP TRIGGER planned ON idempotency");
    assert.equal((await store.append([input]))[0]?.kind, "stored");
  });

  it("replaces its connections when the server is in recovery, and goes on when it was promoted", async () => {
    const [alice, bob] = [user(), user()];
    await insist(store, [message({ sender: alice, peer: bob })]);
    await server.stopServer();
    const signal = join(server.dir, "standby.signal");
    writeFileSync(signal, "");
    if (postgresUser) chownSync(signal, postgresUser.uid, postgresUser.gid);
    await server.start();
    const input = message({ sender: alice, peer: bob });
    await assert.rejects(store.append([input]), isRetryable);
    await assert.rejects(store.ping(), isRetryable);
    const page = await store.readInbox({ userId: bob, cursor: 0, limit: 10, limitBytes: 1 << 20 });
    assert.equal(page.events.length, 1, "pulls work");
    const promoter = new pg.Client({ connectionString: server.url });
    await promoter.connect();
    await promoter.query("SELECT pg_promote()");
    await promoter.end();
    assert.equal((await insist(store, [input]))[0]?.kind, "stored");
    await store.ping();
  });
});

const needsRoot = process.getuid?.() === 0 ? false : "only root can mount a small disk";

describe("a full disk", { skip: needsRoot }, () => {
  let server: PostgresServer;
  let disk: string;
  before(async () => {
    server = await startPostgres();
    disk = mkdtempSync(join(tmpdir(), "imcluster-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=48m,mode=0777", "imcluster-test", disk]);
  });
  after(async () => {
    await server.stop();
    execFileSync("umount", ["-l", disk]);
    rmSync(disk, { recursive: true });
  });

  it("refuses sends as retryable, still answers pulls, and takes sends again when there is room", async () => {
    const folder = join(disk, "space");
    mkdirSync(folder, { mode: 0o700 });
    if (postgresUser) chownSync(folder, postgresUser.uid, postgresUser.gid);
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query(`CREATE TABLESPACE small LOCATION '${folder}'`);
    await admin.query("CREATE DATABASE full_disk TABLESPACE small");
    const url = server.urlOf("full_disk");
    await migrate({ url, log: silentLogger });
    const store = await openPostgresStore({ url });
    const [alice, bob] = [user(), user()];
    const big = (): AppendInput[] =>
      Array.from({ length: 20 }, () => message({ sender: alice, peer: bob, content: noise() }));
    const noise = (): Buffer => Buffer.from(Array.from({ length: 40_000 }, () => Math.random() * 256));
    try {
      let stored = 0;
      let refused: AppendInput[] | undefined;
      for (let round = 0; !refused && round < 200; round++) {
        const batch = big();
        try {
          await store.append(batch);
          stored += batch.length;
        } catch (error) {
          assert.ok(isRetryable(error), String(error));
          assert.match(String((error as ImError).message), /53100/);
          refused = batch;
        }
      }
      assert.ok(refused, "48 MiB were not enough room for 160");
      const page = await store.readInbox({ userId: bob, cursor: 0, limit: 1000, limitBytes: 1 << 20 });
      assert.ok(
        page.events.length > 0 && page.head === stored,
        "pulls work, and nothing of the refused batch is there",
      );
      const history = { userId: bob, conversationId: direct(alice, bob), direction: "forward", from: 0 } as const;
      assert.ok(await store.readHistory({ ...history, limit: 10, limitBytes: 1 << 20 }));
      await store.ping();
      execFileSync("mount", ["-o", "remount,size=256m", disk]);
      const again = await insist(store, refused);
      assert.ok(again.every((result) => result.kind === "stored"));
      assert.equal((await store.inboxHeads([bob])).heads.get(bob), stored + refused.length);
    } finally {
      await store.close();
      await admin.end();
    }
  });
});
