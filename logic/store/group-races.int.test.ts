// SPDX-License-Identifier: Apache-2.0
// Changes of a group against messages to it and against each other, on real PostgreSQL.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { ImError } from "#lib/errors.ts";
import { newStore } from "../../e2e/harness/database.ts";
import { message, readAll, user } from "./contract/fixture.ts";
import { groupEvent } from "./contract/groups.ts";
import type { GroupMember } from "./groups.ts";
import type { PostgresStore } from "./postgres-store.ts";
import type { AppendedMessage, AppendInput } from "./store.ts";

const oneTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

/** As a client does: what is retryable is done again. */
async function persistently<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ImError && error.retryable)) throw error;
    }
  }
  throw new Error("never taken");
}

describe("changes of groups on PostgreSQL", () => {
  let store: PostgresStore;
  before(async () => {
    ({ store } = await newStore("group-races", { appendConnections: 6, connections: 6 }));
  });
  after(() => store.close());

  /** @param event of the change; the same one again is the same change */
  const change = (
    event: AppendInput,
    version: number,
    what: { removed?: string[]; put?: GroupMember[]; members: readonly string[] },
  ): Promise<AppendedMessage | undefined> => {
    const { removed = [], put = [], members } = what;
    const recipients = [...new Set([...members, ...put.map(({ userId }) => userId)])];
    return persistently(() => store.groups.change({ event, version, removed, put, recipients }, store.epoch));
  };

  /** Until it is made, as logic does: others change the group, too. Resolves with where its event is. */
  async function persist(id: string, actor: string, removed: string[], put: GroupMember[]): Promise<number> {
    const event = groupEvent(id, actor);
    const { clientMessageId: requestId, payloadHash } = event;
    for (let tries = 0; tries < 200; tries++) {
      const look = () => store.groups.look({ actor, requestId, payloadHash, groupId: id });
      const { known, group } = await persistently(look);
      if (known?.kind === "same") return known.convSeq;
      assert.ok(group, "the actor stays a member");
      await change(event, group.version, { removed, put, members: [...group.roles.keys()] });
    }
    throw new Error("never fast enough");
  }

  async function make(owner: string, others: readonly string[]): Promise<string> {
    const id = `g_${randomUUID()}`;
    const put: GroupMember[] = [{ userId: owner, role: "owner" }];
    for (const userId of others) put.push({ userId, role: "member" });
    const event = groupEvent(id, owner);
    const recipients = [owner, ...others];
    const made = { event, version: 0, name: "", removed: [], put, recipients };
    await persistently(() => store.groups.change(made, store.epoch));
    return id;
  }

  it("gives who is removed nothing behind the event, and stores nothing of it there, with writers at full speed", async () => {
    const owner = user();
    const members = Array.from({ length: 8 }, user);
    const id = await make(owner, members);
    let isWriting = true;
    /** Conversation seqs by sender. */
    const sent = new Map<string, number[]>();
    const write = async (sender: string): Promise<void> => {
      const own: number[] = [];
      sent.set(sender, own);
      while (isWriting) {
        const batch = oneTo(3).map(() => message({ sender, peer: "", conversationId: id }));
        // With others of the batch, who must not suffer.
        batch.push(message({ sender, peer: owner }));
        const results = await persistently(() => store.append(batch));
        assert.ok(results[3]?.kind === "stored" || results[3]?.kind === "duplicate");
        for (const result of results.slice(0, 3))
          if (result.kind === "stored" || result.kind === "duplicate") own.push(result.convSeq);
        if (results[0]?.kind === "not-member") return;
      }
    };
    const writers = [owner, ...members].map(write);
    const left = new Map<string, number>();
    for (const userId of members.slice(0, 6)) {
      left.set(userId, await persist(id, owner, [userId], []));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    isWriting = false;
    await Promise.all(writers);
    for (const [userId, removedAt] of left) {
      const own = (await readAll(store, userId)).events.filter(({ conversationId }) => conversationId === id);
      assert.deepEqual(
        own.map(({ convSeq }) => convSeq),
        oneTo(removedAt),
        "everything up to the event, nothing after it",
      );
      assert.ok(
        (sent.get(userId) ?? []).every((seq) => seq < removedAt),
        "nothing stored after the event",
      );
    }
    const all = (await readAll(store, owner)).events.filter(({ conversationId }) => conversationId === id);
    assert.deepEqual(
      all.map(({ convSeq }) => convSeq),
      oneTo(all.length),
      "no gap for who stays",
    );
  });

  it("lets one of many changes at the same version win, and makes all of them when they are made again", async () => {
    const owner = user();
    const id = await make(owner, []);
    const joining = Array.from({ length: 12 }, user);
    await Promise.all(
      joining.map((userId) =>
        change(groupEvent(id, owner), 1, { put: [{ userId, role: "member" }], members: [owner] }),
      ),
    );
    const first = await store.groups.describe({ userId: owner, groupId: id, after: "", limit: 100 });
    assert.deepEqual([first?.group.version, first?.group.memberCount], [2, 2], "one of them");
    await Promise.all(joining.map((userId) => persist(id, owner, [], [{ userId, role: "member" }])));
    const found = await store.groups.describe({ userId: owner, groupId: id, after: "", limit: 100 });
    assert.deepEqual(
      found?.members.map(({ userId }) => userId),
      [owner, ...joining].sort(),
    );
    // The one that had won finds its member there, and is one more change.
    assert.deepEqual([found?.group.version, found?.group.memberCount], [14, 13]);
    const events = (await readAll(store, owner)).events;
    assert.deepEqual(
      events.map(({ convSeq }) => convSeq),
      oneTo(14),
    );
  });

  it("makes a request once that comes on several connections at the same time", async () => {
    const owner = user();
    const ids = oneTo(6).map(() => `g_${randomUUID()}`);
    const key = randomUUID();
    const put: GroupMember[] = [{ userId: owner, role: "owner" }];
    await Promise.all(
      ids.map((id) => {
        const event = groupEvent(id, owner, { clientMessageId: key, content: Buffer.from("same") });
        const made = { event, version: 0, name: "", removed: [], put, recipients: [owner] };
        return persistently(() => store.groups.change(made, store.epoch));
      }),
    );
    const groups = await store.groups.groupsOf({ userId: owner, after: "", limit: 10 });
    assert.equal(groups.length, 1);
    assert.ok(ids.includes(groups[0]?.conversationId ?? ""));
    assert.equal((await readAll(store, owner)).head, 1);
  });

  it("does not deadlock with batches that cross groups and pairs in any order", async () => {
    const owner = user();
    const members = Array.from({ length: 5 }, user);
    const groups = await Promise.all(oneTo(4).map(() => make(owner, members)));
    const writes = oneTo(30).map((round) => {
      const order = round % 2 === 0 ? groups : groups.toReversed();
      const sender = members[round % 5] ?? "";
      const batch = order.map((conversationId) => message({ sender, peer: "", conversationId }));
      const all = [...batch, message({ sender, peer: members[(round + 1) % 5] ?? "" })];
      return persistently(() => store.append(all));
    });
    const changes = oneTo(12).map((round) =>
      persist(groups[round % 4] ?? "", owner, [], [{ userId: user(), role: "member" }]),
    );
    const results = (await Promise.all(writes)).flat();
    await Promise.all(changes);
    assert.ok(results.every(({ kind }) => kind === "stored"));
    for (const userId of members) {
      const { events, head } = await readAll(store, userId);
      assert.deepEqual(
        events.map(({ inboxSeq }) => inboxSeq),
        oneTo(head),
      );
    }
  });
});
