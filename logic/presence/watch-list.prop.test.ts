// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Session } from "../session/session.ts";
import { type WatchBounds, WatchList, type WatchRequest } from "./watch-list.ts";

const session = (userId: string): Session => ({
  entry: { incarnation: "pod-a.1", send: () => true },
  conn: 1,
  userId,
  slot: "mobile",
  deviceId: "d",
  deviceName: "",
  loginSeq: 1,
  epochMark: 1,
  notedAckSeq: 0,
  token: { tokenId: "", issuedAtMs: 0, expiresAtMs: 0 },
});

const request = (who: Session, userIds: readonly string[], endsAtMs = 1): WatchRequest => ({
  ...{ session: who, isOpen: () => true, userIds, endsAtMs, checkedAtMs: 0 },
});

const WIDE: WatchBounds = { maxPeers: 1000, maxPairs: 1000 };

type Change = { at: number; userIds?: string[] } | { moved: string; to: string[] };

/** The list beside what it should know. */
class Modelled {
  readonly list = new WatchList(WIDE);
  readonly #sessions = [session("x"), session("y"), session("z")];
  readonly #watched = new Map<Session, string[]>();
  readonly #held = new Map<string, string[]>();

  apply(change: Change): void {
    if ("moved" in change) this.#move(change.moved, change.to);
    else this.#watch(this.#sessions[change.at] as Session, change.userIds);
    for (const userId of this.#held.keys()) if (!this.#all().has(userId)) this.#held.delete(userId);
  }

  #move(userId: string, to: string[]): void {
    const peer = this.list.peers.get(userId);
    if (!peer) return;
    this.list.moved(peer, to);
    this.#held.set(userId, to);
  }

  #watch(who: Session, userIds: string[] | undefined): void {
    if (userIds) assert.ok(this.list.set(request(who, userIds)));
    else this.list.drop(who);
    if (userIds) this.#watched.set(who, userIds);
    else this.#watched.delete(who);
  }

  #all(): Set<string> {
    return new Set([...this.#watched.values()].flat());
  }

  check(): void {
    const { list } = this;
    assert.equal(list.watches.size, this.#watched.size);
    assert.equal(list.pairs, [...this.#watched.values()].flat().length);
    for (const [who, userIds] of this.#watched)
      assert.deepEqual([...(list.watches.get(who)?.peers.keys() ?? [])], userIds);
    assert.deepEqual([...list.peers.keys()].sort(), [...this.#all()].sort());
    for (const [userId, peer] of list.peers) {
      const watchers = [...this.#watched].filter(([, userIds]) => userIds.includes(userId));
      assert.deepEqual(new Set([...peer.watches].map((watch) => watch.session)), new Set(watchers.map(([who]) => who)));
    }
    assert.deepEqual(list.incarnations.sort(), [...new Set([...this.#held.values()].flat())].sort());
    for (const incarnation of list.incarnations) {
      const held = [...this.#held].filter(([, all]) => all.includes(incarnation)).map(([userId]) => userId);
      assert.deepEqual([...list.heldBy(incarnation)].map(({ userId }) => userId).sort(), held.sort());
    }
  }
}

describe("who watches whom", () => {
  it("knows both directions after any sequence of changes, and forgets whom nobody watches", () => {
    const id = fc.constantFrom("a", "b", "c", "d", "e");
    const change: fc.Arbitrary<Change> = fc.oneof(
      fc.record({ at: fc.nat(2), userIds: fc.uniqueArray(id) }),
      fc.record({ at: fc.nat(2) }),
      fc.record({ moved: id, to: fc.uniqueArray(fc.constantFrom("pod-a.1", "pod-b.1")) }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const modelled = new Modelled();
        for (const one of changes) {
          modelled.apply(one);
          modelled.check();
        }
      }),
    );
  });

  it("takes as many users as its bound says, and changes nothing when they are too many", () => {
    const list = new WatchList({ maxPeers: 3, maxPairs: 100 });
    const [x, y] = [session("x"), session("y")];
    assert.ok(list.set(request(x, ["a", "b"])));
    assert.equal(list.set(request(y, ["b", "c", "d"])), undefined);
    assert.ok(list.set(request(y, ["b", "c"])));
    assert.equal(list.set(request(y, ["c", "d"], 9)), undefined);
    assert.deepEqual([...list.peers.keys()], ["a", "b", "c"]);
    assert.deepEqual([[...(list.watches.get(y)?.peers.keys() ?? [])], list.watches.get(y)?.endsAtMs], [["b", "c"], 1]);
  });

  it("takes as many pairs as its bound says", () => {
    const list = new WatchList({ maxPeers: 100, maxPairs: 4 });
    const [x, y] = [session("x"), session("y")];
    assert.ok(list.set(request(x, ["a", "b"])));
    assert.equal(list.set(request(y, ["a", "b", "c"])), undefined);
    assert.ok(list.set(request(y, ["a", "b"])));
    assert.ok(list.set(request(x, ["c", "d"])), "instead of those before");
    assert.equal(list.pairs, 4);
  });

  it("keeps what is not told yet of those who stay, and drops it of those who go", () => {
    const list = new WatchList(WIDE);
    const x = session("x");
    const watch = list.set(request(x, ["a", "b"]));
    assert.ok(watch);
    for (const peer of watch.peers.values()) watch.changed.add(peer);
    list.set(request(x, ["b", "c"]));
    assert.deepEqual(
      [...watch.changed].map(({ userId }) => userId),
      ["b"],
    );
  });

  it("moves nobody who is not watched any more", () => {
    const list = new WatchList(WIDE);
    const x = session("x");
    const gone = list.set(request(x, ["a"]))?.peers.get("a");
    assert.ok(gone);
    list.drop(x);
    list.moved(gone, ["pod-a.1"]);
    assert.deepEqual(list.incarnations, []);
  });
});
