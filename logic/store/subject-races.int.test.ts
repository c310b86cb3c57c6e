// SPDX-License-Identifier: Apache-2.0
// Conversations about something that begin while the pair blocks and unblocks, or while others of the pair begin, on four logics at once.
// However it falls out: a block holds for every conversation of the pair from its answer on, and no longer than to that of the unblock;
// and no pair has more conversations than it may, nor fewer than were asked for.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newStore } from "../../e2e/harness/database.ts";
import { appended, direct, message, user } from "./contract/fixture.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";
import type { AppendInput, AppendResult } from "./store.ts";

const LOGICS = 4;
/** In one statement that begins them, so that it takes a while. */
const ITEMS = 12;
const PAIRS = 30;
const AT_ONCE = 6;
const MOST_PAUSE_MS = 6;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("conversations about something, begun on several logics at once", () => {
  const stores: PostgresStore[] = [];
  before(async () => {
    const { store, url } = await newStore("subject_races");
    stores.push(store);
    for (let at = 1; at < LOGICS; at++) stores.push(await openPostgresStore({ url, startTimeoutMs: 5000 }));
  });
  after(() => Promise.all(stores.map((store) => store.close())));

  const storeAt = (at: number): PostgresStore => {
    const store = stores[at % stores.length];
    assert.ok(store);
    return store;
  };

  const about = (sender: string, peer: string, id: string, more: Partial<AppendInput> = {}): AppendInput => {
    const pairId = direct(sender, peer);
    const subject = { type: "item", id };
    return message({ sender, peer, conversationId: `${pairId}_${id}`, pairId, subject, ...more });
  };
  const readersOf = (results: readonly AppendResult[]): number[] =>
    results.map((result) => appended(result).recipients.length);
  const block = (userId: string, peerId: string, isOn: boolean): Promise<unknown> => {
    const peers = [{ peerId, conversationId: direct(userId, peerId) }];
    const change = isOn ? { block: peers, unblock: [] } : { block: [], unblock: peers };
    return storeAt(0).blocks.change({ userId, ...change, atMs: Date.now() });
  };

  /** Several pairs at a time, each with pauses of its own. */
  const withPairs = async (run: (pauseMs: () => number) => Promise<void>): Promise<void> => {
    let turn = 0;
    // Spread evenly, and the same in every run.
    const pauseMs = (): number => MOST_PAUSE_MS * ((turn++ * 0.618) % 1);
    const lanes = Array.from({ length: AT_ONCE }, async (_, lane) => {
      for (let pair = lane; pair < PAIRS; pair += AT_ONCE) await run(pauseMs);
    });
    await Promise.all(lanes);
  };

  it("are blocked and unblocked with the pair, the one that began meanwhile as well as any other", async () => {
    const outcomes = new Set<number>();
    await withPairs(async (pauseMs) => {
      const [alice, bob] = [user(), user()];
      const begun: string[] = [];
      const begin = async (at: number, name: string): Promise<void> => {
        const ids = Array.from({ length: ITEMS }, (_, item) => `${name}-${at}-${item}`);
        begun.push(...ids);
        await pause(pauseMs());
        const results = await storeAt(at).append(ids.map((id) => about(alice, bob, id)));
        for (const readers of readersOf(results)) outcomes.add(readers);
      };
      const change = async (isOn: boolean): Promise<void> => {
        await pause(pauseMs());
        await block(bob, alice, isOn);
      };
      for (const isOn of [true, false]) {
        await Promise.all([change(isOn), ...[1, 2, 3].map((at) => begin(at, isOn ? "on" : "off"))]);
        for (const at of [1, 2]) {
          const later = await storeAt(at).append([...begun, `new-${isOn}-${at}`].map((id) => about(alice, bob, id)));
          assert.deepEqual(new Set(readersOf(later)), new Set([isOn ? 1 : 2]), isOn ? "blocked" : "open again");
        }
      }
    });
    assert.deepEqual(outcomes, new Set([1, 2]), "some came before the block, some after");
  });

  it("are as many as the pair may have, whoever of the two begins them, where", async () => {
    const most = 5;
    await withPairs(async (pauseMs) => {
      const [alice, bob] = [user(), user()];
      const begin = async (at: number): Promise<AppendResult[]> => {
        await pause(pauseMs());
        const [sender, peer] = at % 2 === 0 ? [alice, bob] : [bob, alice];
        const ids = [`${at}-0`, `${at}-1`, "shared"];
        return storeAt(at).append(ids.map((id) => about(sender, peer, id, { maxOfPair: most })));
      };
      const results = (await Promise.all([0, 1, 2, 3].map(begin))).flat();
      const made = results.flatMap((result) => (result.kind === "pair-full" ? [] : appended(result).conversationId));
      assert.equal(new Set(made).size, most);
      const request = { userId: alice, before: 0, limit: 50, limitBytes: 1 << 20 };
      const { contacts } = await storeAt(0).conversations.list(request);
      assert.deepEqual(new Set(contacts.map(({ conversationId }) => conversationId)), new Set(made));
    });
  });
});
