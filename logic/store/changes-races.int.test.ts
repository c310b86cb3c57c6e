// SPDX-License-Identifier: Apache-2.0
// Changes at the same moment, on real PostgreSQL.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { newStore } from "../../e2e/harness/database.ts";
import { type ChangeResult, RECALLED_VERSION } from "./changes.ts";
import { order } from "./contract/changes.ts";
import { appended, message, readAll, user } from "./contract/fixture.ts";
import type { PostgresStore } from "./postgres-store.ts";
import type { AppendedMessage } from "./store.ts";

const oneTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const kindsOf = (results: readonly ChangeResult[]): string[] => results.map(({ kind }) => kind).sort();

describe("changes at the same moment", () => {
  let store: PostgresStore;
  let url: string;
  const failures: string[] = [];
  before(async () => {
    const observe = (name: string, _durationMs: number, error: Error | undefined): void => {
      if (error) failures.push(`${name}: ${error.message}`);
    };
    ({ store, url } = await newStore("changes-races", { appendConnections: 8, observe }));
  });
  after(() => store.close());

  const say = async (sender: string, peer: string, text = "one"): Promise<AppendedMessage> =>
    appended((await store.append([message({ sender, peer, content: Buffer.from(text) })]))[0]);

  /** Every inbox is gapless, events of one message have rising versions, and the message has the newest. */
  async function assertWhole(userId: string, of: AppendedMessage): Promise<void> {
    const { events, head } = await readAll(store, userId);
    assert.deepEqual(
      events.map(({ inboxSeq }) => inboxSeq),
      oneTo(head),
    );
    const changes = events.filter(({ contentType }) => contentType === "im/change");
    const texts = changes.map(({ content }) => Buffer.from(content).toString());
    const versions = texts.map((text) => Number(/^\w+ \S+ (\d+)\./.exec(text)?.[1]));
    assert.deepEqual(
      versions,
      versions.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(versions).size, versions.length);
    const target = events.find(({ convSeq }) => convSeq === of.convSeq);
    const newest = versions.at(-1);
    const type = newest === RECALLED_VERSION ? "im/recalled" : `text/plain;im-version=${newest}`;
    assert.equal(target?.contentType, type);
    // Only the newest event has the content, and it is the message's.
    const contents = texts.map((text) => text.replace(/^\w+ \S+ \d+\./, ""));
    assert.deepEqual(contents, [...contents.slice(0, -1).map(() => ""), Buffer.from(target?.content ?? []).toString()]);
  }

  it("one of several edits of a version wins, the others learn the new one", async () => {
    for (let round = 0; round < 10; round++) {
      const [alice, bob] = [user(), user()];
      const of = await say(alice, bob);
      for (const baseVersion of [1, 2, 3]) {
        const results = await Promise.all(
          oneTo(6).map(() => store.changes.change(order({ kind: "edit", sender: alice, of, baseVersion }))),
        );
        assert.deepEqual(kindsOf(results), ["changed", ...Array(5).fill("version")]);
        for (const result of results) if (result.kind === "version") assert.equal(result.version, baseVersion + 1);
      }
      await assertWhole(alice, of);
      await assertWhole(bob, of);
    }
    assert.deepEqual(failures, []);
  });

  it("a recall ends all edits, whichever was first, while others write", async () => {
    for (let round = 0; round < 20; round++) {
      const [alice, bob] = [user(), user()];
      const of = await say(alice, bob);
      const edits = async (): Promise<ChangeResult[]> => {
        const results: ChangeResult[] = [];
        for (let baseVersion = 1; baseVersion < 6; baseVersion++)
          results.push(await store.changes.change(order({ kind: "edit", sender: alice, of, baseVersion })));
        return results;
      };
      const write = () => store.append([message({ sender: bob, peer: alice }), message({ sender: alice, peer: bob })]);
      const [edited, recalled] = await Promise.all([
        edits(),
        ...[1, 2].map(() => store.changes.change(order({ kind: "recall", sender: alice, of }))),
        ...oneTo(3).map(write),
      ]);
      const lost = (edited as ChangeResult[]).filter(({ kind }) => kind !== "changed");
      for (const result of lost) assert.deepEqual(result, { kind: "version", version: RECALLED_VERSION });
      assert.ok(["changed", "recalled"].includes((recalled as ChangeResult).kind));
      await assertWhole(alice, of);
      await assertWhole(bob, of);
      assert.doesNotMatch(
        JSON.stringify((await readAll(store, bob)).events.find(({ convSeq }) => convSeq === 1)),
        /one/,
      );
    }
    assert.deepEqual(failures, []);
  });

  it("one order that comes on several connections at once is carried out once, also in two conversations", async () => {
    for (let round = 0; round < 10; round++) {
      const [alice, bob, carol] = [user(), user(), user()];
      const of = await say(alice, bob);
      const edit = order({ kind: "edit", sender: alice, of });
      const results = await Promise.all(
        oneTo(6).map(() => store.changes.change({ ...edit, eventId: randomUUID(), atMs: edit.atMs + round })),
      );
      assert.deepEqual(kindsOf(results), ["changed", ...Array(5).fill("duplicate")]);
      const seqs = results.map((result) => ("eventSeq" in result ? result.eventSeq : 0));
      assert.deepEqual(new Set(seqs), new Set([2]));
      const other = await say(alice, carol);
      const clientMessageId = randomUUID();
      const both = [of, other].map((one) => order({ kind: "recall", sender: alice, of: one, clientMessageId }));
      const outcomes = await Promise.all(both.map((one) => store.changes.change(one)));
      assert.deepEqual(kindsOf(outcomes), ["changed", "refused"]);
    }
  });

  it("crossing conversations and inboxes in any order is no deadlock", async () => {
    const users = oneTo(8).map(() => user());
    const all = await Promise.all(users.map((sender, at) => say(sender, users[(at + 1) % 8] ?? "")));
    failures.length = 0;
    const results = await Promise.all(
      oneTo(60).map((round) => {
        const at = round % 8;
        const [sender, of] = [users[at] ?? "", all[at]];
        assert.ok(of);
        const peers = round % 2 === 0 ? users : users.toReversed();
        if (round % 3 === 0) return store.append(peers.map((peer) => message({ sender: peer, peer: sender })));
        return store.changes.change(order({ kind: "recall", sender, of }));
      }),
    );
    assert.equal(results.length, 60);
    assert.deepEqual(failures, []);
  });

  it("a card follows the highest of versions that come in any order", async () => {
    const [alice, bob] = [user(), user()];
    const card = message({ sender: alice, peer: bob, contentType: "im/card", card: { ref: "o", version: 1 } });
    const of = appended((await store.append([card]))[0]);
    const versions = [5, 2, 9, 7, 3, 8, 4, 6];
    const results = await Promise.all(
      versions.map((version) =>
        store.changes.change(order({ kind: "card", sender: "shop", of, ref: "o", version, baseVersion: 0 })),
      ),
    );
    assert.ok(results.every(({ kind }) => kind === "changed" || kind === "version"));
    assert.equal((await store.changes.findCard(of.conversationId, "o"))?.version, 9);
    const { events } = await readAll(store, bob);
    assert.equal(events[0]?.contentType, "im/card;im-version=9");
  });

  it("says that a message is gone that retention takes at the same moment, and never half of a change", async () => {
    const client = new (await import("pg")).default.Client({ connectionString: url });
    await client.connect();
    try {
      // Messages of no month's partition, which are swept row by row.
      const sentAtMs = Date.UTC(1999, 0, 1);
      for (let round = 0; round < 10; round++) {
        const [alice, bob] = [user(), user()];
        const of = appended((await store.append([message({ sender: alice, peer: bob, sentAtMs })]))[0]);
        const [result] = await Promise.all([
          store.changes.change(order({ kind: "recall", sender: alice, of })),
          client.query("DELETE FROM message WHERE conversation_id = $1 AND seq = 1", [of.conversationId]),
        ]);
        const { head, events } = await readAll(store, bob);
        if (result.kind === "changed") assert.equal(head, 2);
        else {
          assert.deepEqual(result, { kind: "refused", why: "no-message" });
          assert.deepEqual([head, events.length], [1, 0]);
        }
      }
    } finally {
      await client.end();
    }
  });
});
