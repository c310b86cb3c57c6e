// SPDX-License-Identifier: Apache-2.0
// Versions under concurrent writers: whoever goes on after the last one it saw misses nothing, and nobody waits for ever.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newStore } from "../../e2e/harness/database.ts";
import { direct, message, user } from "./contract/fixture.ts";
import type { Contact, ConversationStore, StateChange } from "./conversation-store.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";

const PEERS = 6;
const MESSAGES = 40;
const WRITERS = 4;
const ROOM = 1 << 20;

describe("versions of conversation states", () => {
  const stores: PostgresStore[] = [];
  before(async () => {
    const { store, url } = await newStore("conversation_races");
    stores.push(store);
    for (let at = 1; at < WRITERS; at++) stores.push(await openPostgresStore({ url, startTimeoutMs: 5000 }));
  });
  after(() => Promise.all(stores.map((store) => store.close())));

  const states = (at: number): ConversationStore => {
    const store = stores[at % stores.length];
    assert.ok(store);
    return store.conversations;
  };

  it("are seen without a gap by a reader beside writers of both sides, in batches of any order", async () => {
    const alice = user();
    const peers = Array.from({ length: PEERS }, user);
    for (let at = 0; at < MESSAGES; at++)
      await stores[0]?.append(
        peers.map((peer) => message({ sender: at % 2 === 0 ? alice : peer, peer: at % 2 === 0 ? peer : alice })),
      );
    /** Both sides read on, and alice pins and takes back; each batch in another order of its users. */
    const write = async (writer: number): Promise<void> => {
      for (let round = 1; round <= MESSAGES; round++) {
        const changes = peers.flatMap((peer): StateChange[] => {
          const conversationId = direct(alice, peer);
          return [
            { userId: alice, conversationId, readSeq: round, pinned: (round + writer) % 2 === 0 },
            { userId: peer, conversationId, readSeq: round },
          ];
        });
        await states(writer).change(writer % 2 === 0 ? changes : changes.reverse());
      }
    };
    const seen = new Map<string, Contact>();
    let version = 0;
    const readOn = async (): Promise<void> => {
      for (let more = true; more; ) {
        const request = { userId: alice, sinceVersion: version, sinceInboxSeq: 1_000_000, limit: 3, limitBytes: ROOM };
        const page = await states(1).changes(request);
        for (const contact of page.contacts) seen.set(contact.conversationId, contact);
        ({ version, more } = page);
      }
    };
    let isWriting = true;
    const reading = (async () => {
      while (isWriting) await readOn();
    })();
    await Promise.all(Array.from({ length: WRITERS }, (_, at) => write(at)));
    isWriting = false;
    await reading;
    await readOn();
    const ids = peers.map((peer) => direct(alice, peer)).sort();
    const { contacts, version: newest } = await states(0).find(alice, ids, ROOM);
    assert.equal(version, newest);
    assert.deepEqual(
      ids.map((id) => seen.get(id)),
      contacts,
    );
    for (const { state, peerReadSeq } of contacts) assert.deepEqual([state.readSeq, peerReadSeq], [MESSAGES, MESSAGES]);
  });
});
