// SPDX-License-Identifier: Apache-2.0
// PostgreSQL is restored from a backup while people chat, with its new epoch set before the address leads to it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, describe, it } from "node:test";
import pg from "pg";
import { systemClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { Command } from "#proto/commands.ts";
import { PushAck } from "#proto/gen/messages.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { type PostgresServer, sharedPostgres } from "../e2e/harness/postgres.ts";
import type { TestEntry } from "./entry-kit.ts";
import { message } from "./store/contract/fixture.ts";
import { migrate } from "./store/migrate.ts";
import { openPostgresStore, type PostgresStore } from "./store/postgres-store.ts";
import { startTwoLogics, type TwoLogics } from "./two-logics-kit.ts";

const TRIES = 200;

/** Statements as an operator gives them, outside the databases concerned. */
async function operate(server: PostgresServer, database: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: server.urlOf(database) });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** The backup takes the place of the live database, whose connections end. */
async function restore(server: PostgresServer, live: string, backup: string, epoch: string): Promise<void> {
  await operate(server, backup, `UPDATE store_meta SET inbox_epoch = '${epoch}'`);
  await operate(
    server,
    "postgres",
    `ALTER DATABASE ${live} ALLOW_CONNECTIONS false`,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${live}'`,
    `ALTER DATABASE ${live} RENAME TO ${live}_lost`,
    `ALTER DATABASE ${backup} RENAME TO ${live}`,
  );
}

describe("a database that is restored while people chat", () => {
  const stores: PostgresStore[] = [];
  let logics: TwoLogics | undefined;
  after(async () => {
    logics?.close();
    await Promise.all(stores.map((store) => store.close()));
  });

  const open = async (url: string): Promise<PostgresStore> => {
    const store = await openPostgresStore({ url });
    stores.push(store);
    return store;
  };

  /** SEND to bob with text of its own until its outcome is known or the session is over; every other answer is RETRYABLE. */
  async function insist(through: TestEntry, conn: number, id: string): Promise<number | "kicked"> {
    for (let tries = 0; tries < TRIES; tries++) {
      if (through.waiting(RecordKind.KICK).some((kick) => kick.conn === conn)) return "kicked";
      const answer = await through.message(conn, { to: "bob", clientMessageId: id, content: Buffer.from(id) });
      if (answer.kind === "ok") return answer.body.inboxSeq;
      assert.ok(answer.error.retryable, `${answer.error.code}: nobody may say that it failed`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return assert.fail("neither an answer nor a kick");
  }

  it("gives nobody a position that means another message to them, and everybody what is stored after", async () => {
    const server = await sharedPostgres();
    const url = await server.createDatabase("restored");
    await migrate({ url, log: silentLogger });
    const seed = await openPostgresStore({ url });
    const before = seed.epoch;
    for (const [userId, deviceId] of [
      ["alice", "a"],
      ["bob", "b"],
    ] as const)
      await seed.login({ userId, slot: "mobile", deviceId, deviceName: "", platform: "ios", appVersion: "" });
    const old = [message({ sender: "alice", peer: "bob" }), message({ sender: "alice", peer: "bob" })];
    await seed.append(old);
    await seed.close();
    await operate(server, "postgres", "CREATE DATABASE restored_backup TEMPLATE restored");

    logics = await startTwoLogics(systemClock, [await open(url), await open(url)]);
    const { toFirst, toSecond } = logics;
    const at2 = { inboxEpoch: before, inboxCursor: 2 };
    const alice = await toFirst.login(1, "alice", { deviceId: "a", ...at2 });
    const bob = await toSecond.login(2, "bob", { deviceId: "b", ...at2 });
    assert.ok(alice.kind === "ok" && bob.kind === "ok" && bob.welcome.resumed);
    for (const id of ["lost-1", "lost-2", "lost-3"]) assert.equal(typeof (await insist(toFirst, 1, id)), "number");
    for (const seq of [3, 4, 5])
      assert.deepEqual((await toFirst.next(RecordKind.DELIVER, { conn: 2, aux: seq })).rid, epochMark(before));
    const epoch = randomUUID();
    await restore(server, "restored", "restored_backup", epoch);

    // Neither logic knows. Bob acknowledges what he was shown; alice's message must not get position 3 in her old session.
    toSecond.send({ kind: RecordKind.COMMAND, cmd: Command.PUSH_ACK, conn: 2, body: PushAck.encode({ inboxSeq: 5 }) });
    assert.equal(await insist(toFirst, 1, "after"), "kicked");
    assert.equal((await toFirst.kicked(1)).code, DisconnectCode.INBOX_RESET);
    const control = await open(url);
    const headOf = async (userId: string): Promise<number | undefined> =>
      (await control.inboxHeads([userId])).heads.get(userId);
    assert.deepEqual([await headOf("alice"), await headOf("bob")], [2, 2], "nothing was stored for the old epoch");

    // She begins anew and sends again: bob's old session is told by the record that it is none of its own positions.
    toFirst.send({ kind: RecordKind.CLOSED, conn: 1 });
    const back = await toFirst.login(3, "alice", { deviceId: "a", inboxEpoch: before, inboxCursor: 5 });
    assert.ok(back.kind === "ok" && back.welcome.inboxEpoch === epoch && !back.welcome.resumed);
    assert.equal(await insist(toFirst, 3, "after"), 3);
    const delivered = await toFirst.next(RecordKind.DELIVER, { conn: 2, aux: 3 });
    assert.equal(delivered.rid, epochMark(epoch));
    assert.notEqual(delivered.rid, bob.reply.epochMark);

    // His logic finds out by itself: his acknowledgement was the first thing that it did.
    assert.equal((await toSecond.kicked(2)).code, DisconnectCode.INBOX_RESET);
    const [device] = await control.pushTargets(["bob"]);
    assert.equal(device?.ackedSeq, 0, "what he acknowledged were other messages");
    toSecond.send({ kind: RecordKind.CLOSED, conn: 2 });
    const again = await toSecond.login(4, "bob", { deviceId: "b", inboxEpoch: before, inboxCursor: 5 });
    assert.ok(again.kind === "ok" && !again.welcome.resumed);
    const { inboxEpoch, firstPage } = again.welcome;
    const seen = firstPage?.events.map(({ inboxSeq, clientMessageId }) => [inboxSeq, clientMessageId]);
    const kept = [...old.map(({ clientMessageId }) => clientMessageId), "after"];
    assert.deepEqual([inboxEpoch, seen], [epoch, kept.map((id, index) => [index + 1, id])]);
    const sync = await toSecond.sync(4, { inboxEpoch: before, cursor: 5 });
    assert.ok(sync.kind === "error" && sync.error.code === ErrorCode.CURSOR_INVALID);
  });
});
