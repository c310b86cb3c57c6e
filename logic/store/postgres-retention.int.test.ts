// SPDX-License-Identifier: Apache-2.0
// What retention does to a real database, and what readers see of it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { newStore } from "../../e2e/harness/database.ts";
import { direct, message, readAll, user } from "./contract/fixture.ts";
import type { PostgresStore } from "./postgres-store.ts";

const DAY_MS = 86_400_000;
const MONTHS_AHEAD = 2;
const everybody = (cutoffMs: number) => ({ cutoffMs, tenantCutoffsMs: new Map<string, number>() });

describe("retention on PostgreSQL", () => {
  let store: PostgresStore;
  let url: string;
  let admin: pg.Client;
  before(async () => {
    ({ store, url } = await newStore("retention"));
    admin = new pg.Client({ connectionString: url });
    await admin.connect();
  });
  after(async () => {
    await admin.end();
    await store.close();
  });

  const column = async (text: string): Promise<unknown[]> =>
    (await admin.query<unknown[]>({ text, rowMode: "array" })).rows.map(([value]) => value);
  const partitions = (): Promise<unknown[]> =>
    column("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'inbox'::regclass ORDER BY 1");

  it("makes partitions ahead and drops old ones with their pointers; readers pass over what is gone", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    await admin.query("SELECT ensure_message_partitions((now() - interval '8 months')::date, 6)");
    const oldMs = Date.now() - 200 * DAY_MS;
    const said = (sentAtMs: number, peer = bob) => message({ sender: alice, peer, sentAtMs });
    await store.append([said(oldMs), said(oldMs + 1), said(oldMs, carol), said(Date.now()), said(Date.now())]);
    const cutoffMs = Date.now() - 90 * DAY_MS;
    const dropped: string[] = [];
    for (let name = await store.retention.rollPartitions(cutoffMs, MONTHS_AHEAD); name; ) {
      dropped.push(name);
      name = await store.retention.rollPartitions(cutoffMs, MONTHS_AHEAD);
    }
    assert.ok(dropped.length >= 6 && dropped.some((name) => name.startsWith("message_y")), dropped.join());
    const left = (await partitions()) as string[];
    assert.ok(left.includes("inbox_default"));
    const ahead = await column(
      `SELECT to_char(date_trunc('month', now()) + interval '2 months', '"inbox_y"YYYY"m"MM')`,
    );
    assert.ok(left.includes(String(ahead[0])));

    const page = await store.readInbox({ userId: bob, cursor: 0, limit: 10, limitBytes: 1 << 20 });
    assert.deepEqual([page.events.map((event) => event.inboxSeq), page.nextCursor, page.more], [[3, 4], 4, false]);
    const gone = await store.readInbox({ userId: carol, cursor: 0, limit: 10, limitBytes: 1 << 20 });
    assert.deepEqual([gone.events, gone.nextCursor, gone.head, gone.more], [[], 1, 1, false]);
    const history = { userId: bob, direction: "backward", from: 0, limit: 10, limitBytes: 1 << 20 } as const;
    const read = await store.readHistory({ ...history, conversationId: direct(alice, bob) });
    assert.deepEqual([read?.events.map((event) => event.convSeq), read?.firstSeq, read?.lastSeq], [[3, 4], 3, 4]);
    assert.equal(read?.more, false);
    const none = await store.readHistory({ ...history, userId: carol, conversationId: direct(alice, carol) });
    assert.deepEqual(none, { events: [], lastSeq: 1, firstSeq: 2, more: false });
    const again = await store.append([message({ sender: bob, peer: carol })]);
    assert.equal(again[0]?.kind, "stored");
  });

  it("shows a conversation whose last message is gone while its pointer is still there", async () => {
    const [alice, bob] = [user(), user()];
    const oldMs = Date.UTC(2021, 3, 10);
    await admin.query("SELECT ensure_message_partitions('2021-04-01', 1)");
    await store.append([message({ sender: alice, peer: bob, sentAtMs: oldMs })]);
    await admin.query("DROP TABLE message_y2021m04");
    const { heads } = await store.readHeads({ userId: bob, before: 0, limit: 10, limitBytes: 1 << 20 });
    const [head] = heads;
    assert.deepEqual([head?.conversationId, head?.convSeq, head?.event], [direct(alice, bob), 1, undefined]);
    const page = await store.readInbox({ userId: bob, cursor: 0, limit: 1, limitBytes: 1 << 20 });
    assert.deepEqual([page.events, page.nextCursor, page.more], [[], 1, false]);
  });

  it("sweeps old keys a few blocks at a time, begins anew at the end, and keeps younger ones", async () => {
    const alice = user();
    const young = message({ sender: alice, peer: user() });
    await store.append([young]);
    await admin.query(
      `INSERT INTO idempotency SELECT 'old', 'k' || n, '', gen_random_uuid(), 'c', n, n, $1
         FROM generate_series(1, 20000) n`,
      [Date.now() - 20 * DAY_MS],
    );
    const cutoffMs = Date.now() - 14 * DAY_MS;
    let deleted = 0;
    let steps = 0;
    for (let isEnd = false; !isEnd; steps++) {
      const step = await store.retention.sweep("idempotency", everybody(cutoffMs), 50);
      assert.ok(step && step.deleted <= 50 * 120, "a step is bounded");
      deleted += step.deleted;
      ({ isEnd } = step);
    }
    assert.ok(deleted >= 20_000);
    assert.deepEqual(await column("SELECT count(*)::int FROM idempotency WHERE sender = 'old'"), [0]);
    assert.ok(steps > 3);
    assert.deepEqual(await column("SELECT next_block::int FROM retention_sweep WHERE table_name = 'idempotency'"), [0]);
    assert.equal((await store.append([young]))[0]?.kind, "duplicate");
  });

  it("also sweeps what fell into the default partitions", async () => {
    const [alice, bob] = [user(), user()];
    await store.append([message({ sender: alice, peer: bob, sentAtMs: 1_000_000_000_000 })]);
    const cutoffMs = Date.now() - 90 * DAY_MS;
    for (const table of ["message_default", "inbox_default"] as const) {
      const step = await store.retention.sweep(table, everybody(cutoffMs), 1000);
      assert.ok(step?.isEnd && step.deleted >= 1, table);
    }
    const { events, head } = await readAll(store, bob);
    assert.deepEqual([events, head], [[], 1]);
  });

  it("works in one process at a time, and refuses tables that are not its", async () => {
    await admin.query("BEGIN");
    await admin.query("SELECT pg_advisory_xact_lock('retention_sweep'::regclass::bigint)");
    assert.equal(await store.retention.rollPartitions(0, MONTHS_AHEAD), undefined);
    assert.equal(await store.retention.sweep("idempotency", everybody(0), 10), undefined);
    await admin.query("ROLLBACK");
    assert.equal(await store.retention.rollPartitions(0, MONTHS_AHEAD), "");
    await assert.rejects(
      admin.query("SELECT * FROM retention_sweep_v2('device', 0, 1, '{}', '{}')"),
      /does not sweep device/,
    );
  });

  it("does not wait for a long reader, and does not make others wait", async () => {
    await admin.query("SELECT ensure_message_partitions('2022-01-01', 1)");
    await admin.query("BEGIN");
    await admin.query("SELECT count(*) FROM inbox");
    await assert.rejects(
      store.retention.rollPartitions(Date.now() - 90 * DAY_MS, MONTHS_AHEAD),
      // It gave up the lock by itself; nobody had to end the statement.
      (error) => error instanceof ImError && error.code === ErrorCode.RETRYABLE && error.message.includes("55P03"),
    );
    await admin.query("ROLLBACK");
    for (let name = "x"; name; ) name = (await store.retention.rollPartitions(Date.now() - 90 * DAY_MS, 2)) ?? "";
    assert.ok(!(await partitions()).includes("inbox_y2022m01"));
  });

  const texts = async (userId: string): Promise<string[]> =>
    (await readAll(store, userId)).events.map(({ content }) => Buffer.from(content).toString());
  const say = async (sender: string, peer: string, content: string, sentAtMs: number): Promise<void> => {
    const [result] = await store.append([message({ sender, peer, content: Buffer.from(content), sentAtMs })]);
    assert.equal(result?.kind, "stored");
  };
  async function sweepAll(cutoffs: Parameters<PostgresStore["retention"]["sweepable"]>[0]): Promise<number> {
    let deleted = 0;
    for (const name of await store.retention.sweepable(cutoffs))
      for (let isEnd = false; !isEnd; ) {
        const step = await store.retention.sweep(name, cutoffs, 100);
        assert.ok(step);
        deleted += step.deleted;
        ({ isEnd } = step);
      }
    return deleted;
  }

  it("takes what is too old for a tenant to the day, and nothing of another one", async () => {
    const [acme, other, plain] = ["acme/", "acm/", ""].map(
      (prefix) => [`${prefix}${user()}`, `${prefix}${user()}`] as const,
    );
    assert.ok(acme && other && plain);
    const nowMs = Date.now();
    for (const [one, two] of [acme, other, plain])
      for (const days of [40, 31, 29, 0]) await say(one, two, `${days}`, nowMs - days * DAY_MS);
    const cutoffs = {
      cutoffMs: nowMs - 90 * DAY_MS,
      tenantCutoffsMs: new Map([
        ["acme", nowMs - 30 * DAY_MS],
        ["unheard-of", nowMs - 1 * DAY_MS],
      ]),
    };
    // Two messages, and a pointer of each of two users.
    assert.equal(await sweepAll(cutoffs), 2 + 4);
    assert.deepEqual(await texts(acme[1]), ["29", "0"]);
    assert.deepEqual(
      [await texts(other[1]), await texts(plain[1])],
      [
        ["40", "31", "29", "0"],
        ["40", "31", "29", "0"],
      ],
    );
    assert.equal(await sweepAll(cutoffs), 0);
    const rows = await column(`SELECT count(*)::int FROM message WHERE sender = '${acme[0]}'`);
    assert.deepEqual(rows, [2]);
  });

  it("keeps what is held in a month that goes, and lets it go when the hold is released", async () => {
    const [alice, bob, carol, dave] = [user(), user(), user(), user()];
    await admin.query("SELECT ensure_message_partitions('2023-05-01', 1)");
    const oldMs = Date.UTC(2023, 4, 10);
    await say(alice, bob, "evidence", oldMs);
    await say(carol, bob, "old", oldMs);
    await say(carol, dave, "dave's", oldMs);
    const holds = [
      { kind: "conversation", id: direct(alice, bob) },
      { kind: "user", id: dave },
    ] as const;
    for (const hold of holds) await store.governance.hold({ ...hold, tenant: "", reason: "case 7" });
    const cutoffs = everybody(Date.now() - 90 * DAY_MS);
    const roll = async (): Promise<void> => {
      for (let name = "x"; name; ) name = (await store.retention.rollPartitions(cutoffs.cutoffMs, MONTHS_AHEAD)) ?? "";
    };
    await roll();
    assert.ok((await partitions()).includes("inbox_y2023m05"));
    await sweepAll(cutoffs);
    const history = { direction: "forward", from: 0, limit: 10, limitBytes: 1 << 20 } as const;
    const read = async (userId: string, conversationId: string) =>
      (await store.readHistory({ ...history, userId, conversationId }))?.events.length;
    assert.equal(await read(bob, direct(alice, bob)), 1, "of a conversation its messages stay");
    assert.equal(await read(bob, direct(carol, bob)), 0);
    assert.deepEqual(await texts(dave), ["dave's"], "of a user its inbox, too");
    assert.deepEqual(await texts(bob), []);
    for (const hold of holds) assert.equal(await store.governance.release("", hold), true);
    await roll();
    assert.ok(!(await partitions()).includes("inbox_y2023m05"));
    assert.equal(await read(bob, direct(alice, bob)), 0);
  });
});
