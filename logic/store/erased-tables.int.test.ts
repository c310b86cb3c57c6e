// SPDX-License-Identifier: Apache-2.0
// Goes through every table of the schema for the id of a deleted user. A table that comes later has to be named here.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { newStore } from "../../e2e/harness/database.ts";
import { newBroadcast } from "./contract/broadcasts.ts";
import { order } from "./contract/changes.ts";
import { admitted, appended, direct, message, user } from "./contract/fixture.ts";
import type { PostgresStore } from "./postgres-store.ts";

/** Tables that have rows about a user; none of them is left. The test writes one into each. */
const GOES = [
  "broadcast_reader",
  "card_action",
  "conversation_member",
  "conversation_order",
  "device",
  "hook_dead",
  "hook_event",
  "hook_online",
  "hook_outbox",
  "hook_verdict",
  "idempotency",
  "inbox",
  "mute",
  "push_binding",
  "push_contact",
  "push_owed",
  "push_quota",
  "push_step",
  "report",
  "user_block",
];

/** Where the id may be found after it, and why. */
const STAYS: Record<string, string> = {
  conversation: "both users of a pair: the other one has it",
  conversation_state: "what it has read, for its peers, and up to where whoever has the id later reads nothing",
  conversation_state_head: "a number that never goes back",
  erasure: "the deletion itself",
  inbox_head: "a number that never goes back",
  message: "its sender; the content is erased",
  push_mark: "a number that never goes back",
  session_slot: "a number that never goes back",
  user_block_head: "a number that never goes back",
  user_revocation: "no token of it is good",
};

/** Rows that name users and go by themselves soon, or are kept on purpose for a time; nothing here writes them. */
const PASSES: Record<string, string> = {
  api_audit: "append-only, for 400 days: who had whom deleted",
  api_request: "answers to calls, for a day",
  legal_hold: "placed and released by the shop",
  push_outbox: "goes within seconds",
};

/** Nothing in it names a user. */
const NOBODY = [
  "api_key",
  "broadcast",
  "broadcast_head",
  "broadcast_part",
  "card_ref",
  "conversation_group",
  "entry",
  "hook_cursor",
  "hook_log",
  "message_change",
  "mute_version",
  "retention_sweep",
  "revocation_version",
  "revoked_token",
  "schema_migration",
  "store_meta",
];

const LEASE_MS = 60_000;

describe("what names a deleted user in the database", () => {
  let store: PostgresStore;
  let client: pg.Client;
  before(async () => {
    const opened = await newStore("erased_tables");
    store = opened.store;
    client = new pg.Client({ connectionString: opened.url });
    await client.connect();
  });
  after(async () => {
    await client.end();
    await store.close();
  });

  async function tables(): Promise<string[]> {
    const { rows } = await client.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  }

  /** Tables with the id in a row, as text, in an array, or in bytes. */
  async function naming(userId: string): Promise<string[]> {
    const found: string[] = [];
    for (const table of await tables()) {
      const { rows } = await client.query(
        `SELECT 1 FROM ${client.escapeIdentifier(table)} t
          WHERE strpos(t::text, $1) > 0 OR strpos(t::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0 LIMIT 1`,
        [userId],
      );
      if (rows.length > 0) found.push(table);
    }
    return found;
  }

  async function finish(): Promise<void> {
    for (let claim = await store.governance.claimErasure(LEASE_MS); claim; ) {
      let { stage } = claim;
      for (;;) {
        const step = { rows: 10, leaseMs: LEASE_MS, settleMs: 0 };
        const progress = await store.governance.stepErasure({ ...claim, stage }, step);
        if (progress.kind !== "more") break;
        stage = progress.stage;
      }
      claim = await store.governance.claimErasure(LEASE_MS);
    }
  }

  it("is what is said here, of every table", async () => {
    const said = [...GOES, ...Object.keys(STAYS), ...Object.keys(PASSES), ...NOBODY];
    assert.deepEqual(said.sort(), await tables(), "say here what a deletion does to the table");
  });

  it("is only what stays on purpose, wherever the user was", async () => {
    const [alice, bob] = [user(), user()];
    await liveAs(alice, bob);
    const before = await naming(alice);
    assert.deepEqual(
      GOES.filter((table) => !before.includes(table)),
      [],
      "the user was there",
    );
    assert.deepEqual(
      before.filter((table) => NOBODY.includes(table)),
      [],
    );
    await store.governance.requestErasure(alice, false);
    await finish();
    while ((await store.hooks.collect(100)) !== 0);
    assert.equal((await store.governance.findErasure(alice))?.state, "erased");
    const left = (await naming(alice)).filter((table) => !(table in PASSES));
    assert.deepEqual(left, Object.keys(STAYS).sort());
  });

  it("is gone of users who were deleted before there was this much to forget", async () => {
    const [alice, bob] = [user(), user()];
    await liveAs(alice, bob);
    await client.query(
      "INSERT INTO erasure (user_id, state, stage, keep_messages, requested_ms, due_ms) VALUES ($1, 'erased', 'keys', false, 1, 1)",
      [alice],
    );
    // As the migration says.
    const migration = await readFile(new URL("migrations/0025_leftovers.sql", import.meta.url), "utf8");
    await client.query(migration.slice(migration.lastIndexOf("UPDATE erasure SET state = 'erasing'")));
    await finish();
    while ((await store.hooks.collect(100)) !== 0);
    const left = (await naming(alice)).filter((table) => !(table in PASSES));
    assert.deepEqual(
      left.filter((table) => GOES.includes(table)),
      [],
    );
  });

  /** Does everything that leaves a row. */
  async function liveAs(alice: string, bob: string): Promise<void> {
    const deviceId = randomUUID();
    const device = { deviceId, slot: "mobile", deviceName: "", platform: "ios", appVersion: "" };
    admitted(await store.login({ userId: alice, ...device, token: { tokenId: "", issuedAtMs: 1 } }));
    await store.setDevice({
      ...{
        userId: alice,
        deviceId,
        pushProvider: "fcm",
        pushToken: randomUUID(),
        locale: "",
        prefs: "",
        appVersion: "",
      },
    });
    const hook = `hook-${randomUUID()}`;
    await store.hooks.register([hook]);
    await store.createConversation(`g-${randomUUID()}`, [alice, bob]);
    const first = message({ sender: alice, peer: bob, content: Buffer.from("hi") });
    const conversationId = direct(alice, bob);
    const of = appended((await store.append([first]))[0]);
    const { convSeq, messageId } = of;
    await store.changes.change(order({ kind: "edit", sender: alice, of }));
    await store.append([message({ sender: bob, peer: alice })]);
    await store.conversations.change([{ userId: alice, conversationId, pinned: true, readSeq: 1 }]);
    await store.blocks.change({ userId: alice, block: [{ peerId: bob, conversationId }], unblock: [], atMs: 1 });
    await store.blocks.change({ userId: bob, block: [{ peerId: alice, conversationId }], unblock: [], atMs: 1 });
    await store.mutes.set(alice, 3_600_000, "spam");
    const users = [alice, bob] as const;
    await store.policy.setOrder({ conversationId, users, orderRef: `of ${alice}`, isOpen: true, atMs: Date.now() });
    const context = JSON.stringify([{ sender: alice, content: "hi" }]);
    for (const [reporter, reported] of [
      [alice, bob],
      [bob, alice],
      [bob, user()],
    ] as const)
      await store.policy.report({
        ...{
          tenant: "",
          reporter,
          reportId: randomUUID(),
          kind: "message",
          reported,
          conversationId,
          convSeq,
          messageId,
        },
        ...{ reason: "fraud", text: "x", rule: "", context, atMs: Date.now() },
      });
    for (const reporter of [alice, bob])
      await store.policy.report({
        ...{
          tenant: "",
          reporter,
          reportId: randomUUID(),
          kind: "appeal",
          reported: "",
          conversationId: "",
          convSeq: 0,
        },
        ...{ messageId: "", reason: "", text: "x", rule: "phones", atMs: Date.now() },
        context: JSON.stringify([{ to: reporter === alice ? bob : alice, content: "hi" }]),
      });
    await store.broadcasts.create(newBroadcast({ audience: "users", userIds: [alice] }));
    const press = { userId: alice, clientKey: randomUUID(), conversationId, convSeq, action: "pay" };
    await client.query(
      `INSERT INTO card_action (user_id, client_key, conversation_id, seq, action, input_hash, created_ms)
       VALUES ($1, $2, $3, $4, $5, '', 1)`,
      [press.userId, press.clientKey, conversationId, convSeq, press.action],
    );
    await store.pushStore.saveContacts([{ userId: alice, phone: "1", wechat: "w", timeZone: "" }]);
    await client.query(
      `INSERT INTO push_step VALUES ($1, $2, 'phone', '', 1, 1, 1, 0, false, 1, 9007199254740991, false)`,
      [alice, conversationId],
    );
    await client.query("INSERT INTO push_quota VALUES ($1, 'sms', 1, 1, 1)", [alice]);
    await client.query("INSERT INTO push_owed (user_id, seq) VALUES ($1, 1)", [alice]);
    await client.query("INSERT INTO push_mark (user_id, seq) VALUES ($1, 1)", [alice]);
    const verdict = { messageId, conversationId, convSeq, sender: alice, verdict: "flag", reason: "", hook } as const;
    await store.hooks.addVerdicts([verdict]);
    await store.hooks.tellPresence([{ userId: alice, isOnline: true }]);
    while ((await store.hooks.collect(100)) !== 0);
    for (const claim of await store.hooks.claim({ hooks: [hook], leaseMs: 1, limit: 8 })) {
      const [event] = await store.hooks.read({
        shard: claim.shard,
        after: claim.position,
        limit: 1,
        withContent: false,
      });
      const position = event?.position ?? 0;
      await store.hooks.settle(claim, { position, tries: 0, pauseMs: 0, dead: { position, reason: "r", tries: 1 } });
    }
    await store.hooks.record([{ kind: "push.result", id: randomUUID(), key: alice, body: "{}" }]);
  }
});
