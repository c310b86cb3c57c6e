// SPDX-License-Identifier: Apache-2.0
// Functions of the schema that logic of an earlier version calls, during an upgrade and after a rollback of the images.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { newStore } from "../../e2e/harness/database.ts";
import { order } from "./contract/changes.ts";
import { appended, message, readAll, user } from "./contract/fixture.ts";
import { groupEvent } from "./contract/groups.ts";
import type { PostgresStore } from "./postgres-store.ts";

describe("functions that older logic calls", () => {
  let store: PostgresStore;
  let db: pg.Client;
  before(async () => {
    const made = await newStore("older-functions");
    store = made.store;
    db = new pg.Client({ connectionString: made.url });
    await db.connect();
  });
  after(async () => {
    await db.end();
    await store.close();
  });

  it("change_v1 puts a change in a large group in every inbox: whoever calls it tells nobody otherwise", async () => {
    const [alice, bob] = [user(), user()];
    const id = `g_${randomUUID().replaceAll("-", "")}`;
    const event = groupEvent(id, alice);
    const put = [{ userId: alice, role: "owner" } as const, { userId: bob, role: "member" } as const];
    const change = { event, version: 0, removed: [], put, recipients: [alice, bob], name: "n", grows: true };
    assert.ok(await store.groups.change(change, await store.ping()));
    const [said] = await store.append([
      message({ sender: bob, peer: "", conversationId: id, content: Buffer.from("one") }),
    ]);
    const edit = order({ kind: "edit", sender: bob, of: appended(said), content: Buffer.from("uno") });
    const { rows } = await db.query<{ outcome: string; user_ids: string[]; event_seq: string }>(
      "SELECT * FROM change_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
      [
        ...[edit.kind, edit.sender, edit.clientMessageId, Buffer.from(edit.payloadHash), edit.conversationId],
        ...[edit.convSeq, edit.messageId, edit.baseVersion, edit.version, edit.ref, Buffer.from(edit.content)],
        ...[edit.oldestMs, edit.eventId, Buffer.from(edit.eventBare), Buffer.from(edit.eventTail), edit.atMs],
      ],
    );
    assert.deepEqual([rows[0]?.outcome, rows[0]?.event_seq], ["changed", "3"]);
    assert.deepEqual(rows[0]?.user_ids, [alice, bob].sort());
    const inboxOf = async (uid: string) => (await readAll(store, uid)).events.map(({ convSeq }) => convSeq);
    // The message itself is in its sender's alone.
    assert.deepEqual(
      [await inboxOf(alice), await inboxOf(bob)],
      [
        [1, 3],
        [1, 2, 3],
      ],
    );
    const repeated = await store.changes.change(edit);
    assert.equal(repeated.kind, "duplicate");
  });
});
