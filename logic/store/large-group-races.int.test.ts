// SPDX-License-Identifier: Apache-2.0
// A group becomes large while its members write, and others join and leave.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { ImError } from "#lib/errors.ts";
import { newStore } from "../../e2e/harness/database.ts";
import { message, readAll, user } from "./contract/fixture.ts";
import { groupEvent } from "./contract/groups.ts";
import type { GroupMember } from "./groups.ts";
import type { PostgresStore } from "./postgres-store.ts";

const members = (userIds: readonly string[]): GroupMember[] => userIds.map((userId) => ({ userId, role: "member" }));

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

describe("a group that becomes large on PostgreSQL", () => {
  let store: PostgresStore;
  before(async () => {
    ({ store } = await newStore("large-races", { appendConnections: 6, connections: 6 }));
  });
  after(() => store.close());

  /** Until it is made, as logic does. */
  async function change(id: string, actor: string, what: { put?: string[]; removed?: string[]; grows?: boolean }) {
    const event = groupEvent(id, actor);
    const { put = [], removed = [], grows = false } = what;
    const { clientMessageId: requestId, payloadHash } = event;
    for (let tries = 0; tries < 200; tries++) {
      const userIds = [...put, ...removed];
      const { group } = await persistently(() =>
        store.groups.look({ actor, requestId, payloadHash, groupId: id, userIds }),
      );
      assert.ok(group);
      const everybody = group.isLarge ? [actor] : [...group.roles.keys()];
      const recipients = [...new Set([...everybody, ...put, ...removed])];
      const order = {
        event,
        version: group.version,
        removed,
        put: members(put),
        recipients,
        grows: grows && !group.isLarge,
      };
      const made = await persistently(() => store.groups.change(order, store.epoch));
      if (made) return made.convSeq;
    }
    throw new Error("never fast enough");
  }

  it("loses no message for anyone and gives none twice, whoever writes, joins and leaves at that moment", async () => {
    for (let round = 0; round < 5; round++) {
      const owner = user();
      const [first, second, leaver, ...joiners] = [user(), user(), user(), user(), user(), user()];
      assert.ok(first && second && leaver);
      const id = `g_${randomUUID()}`;
      const others = [first, second, leaver];
      const put: GroupMember[] = [{ userId: owner, role: "owner" }, ...members(others)];
      const made = {
        event: groupEvent(id, owner),
        version: 0,
        name: "",
        removed: [],
        put,
        recipients: [owner, ...others],
      };
      await persistently(() => store.groups.change(made, store.epoch));

      let isWriting = true;
      let written = 0;
      const write = async (sender: string): Promise<void> => {
        while (isWriting) {
          const input = message({ sender, peer: "", conversationId: id });
          const [result] = await persistently(() => store.append([input]));
          assert.ok(result?.kind === "stored" || result?.kind === "duplicate", JSON.stringify(result));
          written++;
        }
      };
      const writers = [owner, first, second].map(write);
      await new Promise((resolve) => setTimeout(resolve, 50));
      const [grownAt, leftAt] = await Promise.all([
        change(id, owner, { put: joiners.slice(0, 1), grows: true }),
        change(id, leaver, { removed: [leaver] }),
        change(id, first === undefined ? owner : first, { put: joiners.slice(1, 2) }),
      ]);
      await change(id, owner, { put: joiners.slice(2) });
      await new Promise((resolve) => setTimeout(resolve, 50));
      isWriting = false;
      await Promise.all(writers);

      const page = { direction: "forward", from: 0, limit: 100_000, limitBytes: 1 << 30 } as const;
      const history = await store.readHistory({ userId: owner, conversationId: id, ...page });
      const all = history?.events ?? [];
      assert.deepEqual(
        all.map(({ convSeq }) => convSeq),
        Array.from({ length: written + 5 }, (_, at) => at + 1),
      );
      assert.equal(history?.lastSeq, written + 5);
      for (const userId of [owner, first, second]) {
        const { events } = await readAll(store, userId);
        const seqs = events.map(({ convSeq }) => convSeq);
        assert.equal(new Set(seqs).size, seqs.length, "none twice");
        // Everything up to the switch, and what it wrote itself, or was about it, from then on.
        const wanted = all.filter(({ convSeq, sender }) => convSeq <= grownAt || sender === userId);
        assert.deepEqual(
          seqs,
          wanted.map(({ convSeq }) => convSeq),
          userId,
        );
      }
      const left = await readAll(store, leaver);
      assert.equal(left.events.at(-1)?.convSeq, leftAt, "nothing behind its leaving");
      for (const joiner of joiners) {
        const read = await store.readHistory({ userId: joiner, conversationId: id, ...page });
        const [joined] = (await readAll(store, joiner)).events;
        assert.equal(read?.firstSeq, joined?.convSeq, "it reads from its joining on");
      }
    }
  });
});
