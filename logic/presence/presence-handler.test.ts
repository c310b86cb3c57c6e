// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { ErrorInfo, Presence, PresenceAsk, PresenceSub, SessionTag } from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { Gate } from "../gate.ts";
import { unreadMetrics } from "../metrics.ts";
import { MemoryRouter } from "../router/memory.ts";
import type { Session } from "../session/session.ts";
import { MemoryChangeLog } from "./change-log-memory.ts";
import { PeerWatcher } from "./peer-watcher.ts";
import { LEASE_MS, NO_PRESENCE, type PresenceDesk, PresenceHandler } from "./presence-handler.ts";
import { HOLD_MS, RouterMemory } from "./router-memory.ts";
import type { WatchBounds } from "./watch-list.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A handler whose store shows everybody whose id begins with `friend`, and counts what it is asked. */
function setUp(options: { bounds?: WatchBounds; maxWaiting?: number; maxRunning?: number } = {}) {
  const clock = new FakeClock();
  const router = new MemoryRouter(clock);
  const metrics = unreadMetrics();
  const state = { isSame: true };
  const memory = new RouterMemory({ clock, isSame: async () => state.isSame });
  const shared = { router, clock, metrics, memory, onFault: () => undefined };
  const { bounds } = options;
  const watcher = new PeerWatcher({ ...shared, log: new MemoryChangeLog(), ...(bounds ? { bounds } : {}) });
  const asked: string[][] = [];
  let answers = Promise.resolve();
  const handler = new PresenceHandler({
    ...shared,
    store: {
      visiblePeers: async (_, peers) => {
        const ids = peers.map(({ peerId }) => peerId);
        asked.push(ids);
        await answers;
        return ids.filter((id) => id.startsWith("friend"));
      },
      devicesOf: async (ids) =>
        ids.flatMap((userId) =>
          [1000, 3000, 2000].map((lastSeenMs, at) => ({
            ...({
              userId,
              deviceId: `d${at}`,
              deviceName: "",
              platform: "ios",
              loginAgoMs: 0,
              appState: "foreground",
              lastSeenMs,
            } as const),
          })),
        ),
    },
    watcher,
    gate: new Gate({
      clock,
      maxRunning: options.maxRunning ?? 1,
      maxWaiting: options.maxWaiting ?? 100,
      maxWaitMs: 1000,
    }),
  });
  /** Until it is called the store does not answer. */
  const hold = (): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    answers = promise;
    return resolve;
  };
  return { clock, router, watcher, memory, state, handler, asked, hold };
}

function client(desk: PresenceDesk) {
  const sent: RecordInput[] = [];
  const state = { isOpen: true, isFull: false };
  const session: Session = {
    entry: {
      incarnation: "pod-a.1",
      send: (record) => {
        if (state.isFull) return false;
        sent.push(record);
        return true;
      },
    },
    ...{
      conn: 7,
      userId: "alice",
      slot: "mobile",
      deviceId: "d",
      deviceName: "",
      loginSeq: 1,
      epochMark: 1,
      notedAckSeq: 0,
    },
    token: { tokenId: "", issuedAtMs: 0, expiresAtMs: 0 },
  };
  let lastRid = 0;
  const post = (cmd: number, body: Uint8Array): number => {
    const rid = ++lastRid;
    desk.handle(session, { cmd, rid, body }, () => state.isOpen);
    return rid;
  };
  const answer = async (rid: number): Promise<{ error?: ErrorInfo; presence?: Presence }> => {
    for (let turns = 0; turns < 5; turns++) await turn();
    const found = sent.filter((record) => record.rid === rid && record.kind === RecordKind.REPLY);
    assert.equal(found.length, 1, "one answer");
    const { cmd, body = new Uint8Array(0) } = found[0] as RecordInput;
    return cmd === Command.ERROR ? { error: ErrorInfo.decode(body) } : { presence: Presence.decode(body) };
  };
  const ask = (...userIds: string[]) => answer(post(Command.PRESENCE, PresenceAsk.encode({ userIds })));
  const subscribe = (...userIds: string[]) => answer(post(Command.PRESENCE_SUB, PresenceSub.encode({ userIds })));
  return { session, sent, state, post, answer, ask, subscribe };
}

const ids = (count: number, name = "friend"): string[] => Array.from({ length: count }, (_, at) => `${name}-${at}`);

describe("presence asked for by clients", () => {
  it("answers in the order asked, for strangers and for those who do not exist the same", async () => {
    const { handler, router } = setUp();
    await router.renewLease("pod-a.1");
    const route = { incarnation: "pod-a.1", conn: 1, loginSeq: 1, deviceId: "d" };
    for (const userId of ["friend-1", "stranger"]) await router.login([{ ...route, userId, slot: "web" }]);
    const { presence } = await client(handler).ask("stranger", "friend-2", "friend-1", "nobody", "friend-2");
    assert.deepEqual(presence, {
      peers: [
        { userId: "stranger", online: false, platforms: [], lastSeenMs: 0 },
        { userId: "friend-2", online: false, platforms: [], lastSeenMs: 3000 },
        { userId: "friend-1", online: true, platforms: ["web"], lastSeenMs: 0 },
        { userId: "nobody", online: false, platforms: [], lastSeenMs: 0 },
      ],
      leaseMs: 0,
    });
  });

  it("shows a user itself without asking the store", async () => {
    const { handler, asked } = setUp();
    const { presence } = await client(handler).ask("alice");
    assert.deepEqual([presence?.peers[0]?.lastSeenMs, asked], [3000, []]);
  });

  it("takes 100 users in a question and 200 in a subscription, and not one more", async () => {
    const { handler, watcher } = setUp();
    const alice = client(handler);
    assert.equal((await alice.ask(...ids(100))).presence?.peers.length, 100);
    assert.equal((await alice.ask(...ids(101))).error?.code, ErrorCode.BAD_REQUEST);
    const { presence } = await alice.subscribe(...ids(200));
    assert.deepEqual([presence?.peers.length, presence?.leaseMs], [200, LEASE_MS]);
    assert.equal((await alice.subscribe(...ids(201))).error?.code, ErrorCode.BAD_REQUEST);
    assert.equal(watcher.peers, 200, "the one before holds");
    assert.deepEqual((await alice.ask()).presence, { peers: [], leaseMs: 0 });
  });

  it("refuses what is no user id, and bodies that are none, without asking anybody", async () => {
    const { handler, asked } = setUp();
    const alice = client(handler);
    for (const wrong of ["", "a b", "a\0b", "x".repeat(65), "ü"]) {
      for (const answer of [await alice.ask("friend", wrong), await alice.subscribe(wrong)]) {
        assert.equal(answer.error?.code, ErrorCode.BAD_REQUEST, wrong);
        assert.equal(answer.error.retryable, false);
      }
    }
    for (const cmd of [Command.PRESENCE, Command.PRESENCE_SUB]) {
      const { error } = await alice.answer(alice.post(cmd, Uint8Array.of(0xff)));
      assert.equal(error?.code, ErrorCode.BAD_REQUEST);
    }
    assert.deepEqual(asked, []);
    assert.equal((await alice.ask("x".repeat(64))).error, undefined);
  });

  it("takes 20 at once of a session, then one a second, and says when", async () => {
    const { handler, clock } = setUp();
    const [alice, other] = [client(handler), client(handler)];
    for (let count = 0; count < 20; count++) assert.ok((await alice.ask("friend")).presence);
    const { error } = await alice.ask("friend");
    assert.deepEqual([error?.code, error?.retryable, error?.retryAfterMs], [ErrorCode.RATE_LIMITED, true, 1000]);
    assert.ok((await other.ask("friend")).presence, "nobody else is held up");
    clock.advance(1000);
    assert.ok((await alice.ask("friend")).presence);
  });

  it("answers BUSY when too many wait, and RETRYABLE while the router is away", async () => {
    const { handler, router, hold } = setUp({ maxWaiting: 0 });
    const alice = client(handler);
    const release = hold();
    const first = alice.post(Command.PRESENCE, PresenceAsk.encode({ userIds: ["friend"] }));
    assert.equal((await alice.ask("friend")).error?.code, ErrorCode.BUSY);
    release();
    assert.ok((await alice.answer(first)).presence);
    router.isDown = true;
    for (const { error } of [await alice.ask("friend"), await alice.subscribe("friend")])
      assert.deepEqual([error?.code, error?.retryable, error?.retryAfterMs], [ErrorCode.RETRYABLE, true, 1000]);
  });

  it("answers BUSY when as many are watched as may be", async () => {
    const { handler } = setUp({ bounds: { maxPeers: 3, maxPairs: 100 } });
    const [alice, other] = [client(handler), client(handler)];
    assert.ok((await alice.subscribe("friend-1", "friend-2")).presence);
    const { error } = await other.subscribe("friend-3", "friend-4");
    assert.deepEqual([error?.code, error?.retryable], [ErrorCode.BUSY, true]);
    assert.ok((await other.subscribe("friend-3")).presence);
  });
});

describe("presence while the router is told again who is online", () => {
  it("is not told of those who are missing, but of those who are there", async () => {
    const { handler, router, memory, clock, watcher } = setUp();
    const alice = client(handler);
    const route = { incarnation: "pod-a.1", conn: 1, loginSeq: 1, deviceId: "d", slot: "web", userId: "friend-1" };
    await router.login([route]);
    // Nobody watches anything, and a flush is noticed.
    router.flush();
    memory.forgotten();
    clock.advance(1000);
    for (const { error, presence } of [await alice.ask("friend-1"), await alice.subscribe("friend-1")]) {
      assert.deepEqual(
        [error?.code, error?.retryable, error?.retryAfterMs],
        [ErrorCode.RETRYABLE, true, HOLD_MS - 1000],
      );
      assert.equal(presence, undefined, "nobody is called offline");
    }
    assert.equal(watcher.sessions, 0);
    await router.renewLease("pod-a.1");
    await router.login([route]);
    assert.equal((await alice.ask("friend-1", "stranger")).presence?.peers[0]?.online, true, "announced again");
    assert.equal((await alice.ask("friend-1", "friend-2")).error?.code, ErrorCode.RETRYABLE);
    clock.advance(HOLD_MS);
    await router.renewLease("pod-a.1");
    const peers = (await alice.ask("friend-1", "friend-2")).presence?.peers;
    assert.deepEqual(
      peers?.map(({ online }) => online),
      [true, false],
    );
  });

  it("is not told either when nobody has noticed the flush yet", async () => {
    const { handler, state } = setUp();
    const alice = client(handler);
    state.isSame = false;
    const { error } = await alice.ask("friend-1");
    assert.deepEqual([error?.code, error?.retryable, error?.retryAfterMs], [ErrorCode.RETRYABLE, true, 1000]);
    assert.ok((await alice.ask("stranger")).presence, "whom it may not see it does not ask for");
  });
});

describe("subscriptions", () => {
  it("watch those who may be seen, replace each other, and end with an empty one", async () => {
    const { handler, watcher } = setUp();
    const alice = client(handler);
    const watched = (): string[] => [...(watcher.find(alice.session)?.peers.keys() ?? [])];
    await alice.subscribe("friend-1", "stranger", "friend-2", "friend-1");
    assert.deepEqual(watched(), ["friend-1", "friend-2"]);
    await alice.subscribe("friend-2", "alice");
    assert.deepEqual(watched(), ["friend-2", "alice"]);
    assert.equal((await alice.subscribe("stranger")).presence?.leaseMs, LEASE_MS);
    assert.deepEqual(watched(), []);
    await alice.subscribe("friend-1");
    assert.deepEqual((await alice.subscribe()).presence, { peers: [], leaseMs: 0 });
    assert.equal(watcher.sessions, 0);
  });

  it("look up with every repetition whom they could not see, and the others after ten minutes", async () => {
    const { handler, asked, clock } = setUp();
    const alice = client(handler);
    const repeat = async (): Promise<string[][]> => {
      asked.length = 0;
      assert.ok((await alice.subscribe("friend-1", "stranger")).presence);
      return [...asked];
    };
    assert.deepEqual(await repeat(), [["friend-1", "stranger"]]);
    assert.deepEqual(await repeat(), [["stranger"]]);
    clock.advance(599_999);
    assert.deepEqual(await repeat(), [["stranger"]]);
    clock.advance(1);
    assert.deepEqual(await repeat(), [["friend-1", "stranger"]]);
  });

  it("of one session: a later one is not undone by an earlier one that took longer", async () => {
    const { handler, watcher, hold } = setUp();
    const alice = client(handler);
    const release = hold();
    const first = alice.post(Command.PRESENCE_SUB, PresenceSub.encode({ userIds: ["friend-1"] }));
    const second = alice.post(Command.PRESENCE_SUB, PresenceSub.encode({ userIds: ["friend-2"] }));
    release();
    assert.equal((await alice.answer(first)).presence?.leaseMs, 0);
    assert.equal((await alice.answer(second)).presence?.leaseMs, LEASE_MS);
    assert.deepEqual([...(watcher.find(alice.session)?.peers.keys() ?? [])], ["friend-2"]);
  });

  it("of one session: one that fails late takes nothing from the one that came after it", async () => {
    const { handler, watcher, router } = setUp({ maxRunning: 2 });
    const alice = client(handler);
    const stored = router.stored.bind(router);
    const { promise, reject } = Promise.withResolvers<never>();
    router.stored = async () => promise;
    const first = alice.post(Command.PRESENCE_SUB, PresenceSub.encode({ userIds: ["friend-1"] }));
    for (let turns = 0; turns < 5; turns++) await turn();
    assert.equal(watcher.sessions, 1, "it waits for the look");
    router.stored = stored;
    assert.equal((await alice.subscribe("friend-2")).presence?.leaseMs, LEASE_MS);
    reject(new ImError(ErrorCode.RETRYABLE, "away"));
    assert.equal((await alice.answer(first)).error?.code, ErrorCode.RETRYABLE);
    assert.deepEqual([...(watcher.find(alice.session)?.peers.keys() ?? [])], ["friend-2"]);
    assert.equal(alice.session.watches, true);
  });

  it("of one session: one that was ended meanwhile is not taken for one that holds", async () => {
    const { handler, watcher, router } = setUp({ maxRunning: 2 });
    const alice = client(handler);
    const stored = router.stored.bind(router);
    const { promise, resolve } = Promise.withResolvers<void>();
    router.stored = async (userIds) => {
      await promise;
      return stored(userIds);
    };
    const first = alice.post(Command.PRESENCE_SUB, PresenceSub.encode({ userIds: ["friend-1"] }));
    for (let turns = 0; turns < 5; turns++) await turn();
    assert.deepEqual((await alice.subscribe()).presence, { peers: [], leaseMs: 0 });
    resolve();
    assert.equal((await alice.answer(first)).presence?.leaseMs, 0);
    assert.deepEqual([watcher.sessions, alice.session.watches ?? false], [0, false]);
  });

  it("that stayed at another logic are told of when the way to the entry is free, if that is still true", async () => {
    const { handler, clock } = setUp();
    const [alice, left, again] = [client(handler), client(handler), client(handler)];
    const all = [alice, left, again];
    for (const one of all) {
      one.state.isFull = true;
      handler.moved(one.session, () => one.state.isOpen);
    }
    clock.advance(1000);
    left.state.isOpen = false;
    for (const one of all) one.state.isFull = false;
    await again.subscribe("friend-1");
    const notices = ({ sent }: typeof alice) =>
      sent.filter(({ cmd, rid }) => cmd === Command.PRESENCE && rid === undefined);
    assert.deepEqual(
      all.map((one) => notices(one).length),
      [0, 0, 0],
    );
    clock.advance(1000);
    assert.deepEqual(
      all.map((one) => notices(one).length),
      [1, 0, 0],
    );
    assert.equal(notices(alice)[0]?.body, undefined);
    clock.advance(60_000);
    assert.equal(notices(alice).length, 1);
  });

  it("release their timers in the end", () => {
    const { handler, clock } = setUp();
    const alice = client(handler);
    alice.state.isFull = true;
    handler.moved(alice.session, () => true);
    assert.equal(clock.pending, 1);
    handler.close();
    assert.equal(clock.pending, 0);
    handler.moved(alice.session, () => true);
    assert.equal(clock.pending, 0);
  });

  it("end with the connection, also when that ends while they are made", async () => {
    const { handler, watcher, hold } = setUp();
    const alice = client(handler);
    await alice.subscribe("friend-1");
    handler.closed(alice.session);
    assert.equal(watcher.sessions, 0);
    const release = hold();
    const late = alice.post(Command.PRESENCE_SUB, PresenceSub.encode({ userIds: ["friend-1"] }));
    alice.state.isOpen = false;
    release();
    await alice.answer(late);
    assert.equal(watcher.sessions, 0);
  });

  it("are dropped when the first look fails: the client asks again", async () => {
    const { handler, watcher, router } = setUp();
    const alice = client(handler);
    await alice.subscribe("friend-1");
    router.isDown = true;
    assert.equal((await alice.subscribe("friend-1", "friend-2")).error?.code, ErrorCode.RETRYABLE);
    assert.equal(watcher.sessions, 0);
  });

  it("are written into the session's tag, once, so that another logic can say that it has none", async () => {
    const { handler } = setUp();
    const alice = client(handler);
    const tags = (): boolean[] =>
      alice.sent
        .filter(({ kind }) => kind === RecordKind.SESSION_TAG)
        .map(({ body = new Uint8Array(0) }) => SessionTag.decode(body).watches);
    await alice.ask("friend-1");
    assert.deepEqual(tags(), []);
    await alice.subscribe("friend-1");
    await alice.subscribe("friend-2");
    assert.deepEqual(tags(), [true]);
    await alice.subscribe();
    assert.deepEqual(tags(), [true, false]);
    handler.moved(alice.session, () => true);
    const notice = alice.sent.at(-1);
    assert.deepEqual([notice?.cmd, notice?.rid, notice?.body], [Command.PRESENCE, undefined, undefined]);
  });

  it("do not exist where clients may see nobody", async () => {
    const alice = client(NO_PRESENCE);
    for (const { error } of [await alice.ask("friend-1"), await alice.subscribe("friend-1")])
      assert.deepEqual([error?.code, error?.retryable], [ErrorCode.PERMISSION_DENIED, false]);
    NO_PRESENCE.moved(alice.session, () => true);
    NO_PRESENCE.closed(alice.session);
    assert.equal(alice.sent.length, 2);
  });
});
