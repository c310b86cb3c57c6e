// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import type { DrainedSession } from "#proto/gen/messages.ts";
import type { Pod } from "../kube/types.ts";
import { Verification } from "./drain-verification.ts";
import type { Fleet } from "./fleet-client.ts";
import type { EntryProbe } from "./observed.ts";

const POD: Pod = { metadata: { name: "p", uid: "u" }, spec: { containers: [] } };
const PROBE: EntryProbe = {
  ...{ connections: 0, sessions: 0, cordoned: true, draining: true, atMs: 0 },
  drain: { initial: 12, asked: 10, waiting: 0, forced: 2 },
};

/** An entry that drained so many users, and a logic that knows where they are. */
function world(users: number) {
  const clock = new FakeClock(1_000);
  const state = {
    absent: new Set<string>(),
    routesLeft: [0] as (number | undefined)[],
    isLogicUp: true,
    isEntryUp: true,
    answersPages: Number.POSITIVE_INFINITY,
    calls: [] as number[],
    agesMs: [] as number[],
    cursors: [] as number[],
    onReturned: (): void => undefined,
  };
  const all = Array.from({ length: users }, (_, at) => ({ userId: `u${at}`, slot: "web", closedAgoMs: 100 }));
  const fleet = {
    purge: async () => (state.routesLeft.length > 1 ? state.routesLeft.shift() : state.routesLeft[0]),
    drainedSessions: async (_who: unknown, _entry: unknown, cursor: number) => {
      const nextCursor = cursor + 500 < all.length ? cursor + 500 : 0;
      state.cursors.push(cursor);
      if (state.answersPages-- <= 0) return undefined;
      return state.isEntryUp ? { sessions: all.slice(cursor, cursor + 500), nextCursor } : undefined;
    },
    returned: async (_who: unknown, _logic: unknown, sessions: readonly DrainedSession[]) => {
      if (!state.isLogicUp) return undefined;
      state.onReturned();
      state.calls.push(sessions.length);
      state.agesMs.push(...sessions.map(({ closedAgoMs }) => closedAgoMs));
      const absent = sessions.flatMap(({ userId }, at) => (state.absent.has(userId) ? [at] : []));
      const back = sessions.filter(({ userId }) => !state.absent.has(userId));
      return { absent, offlineMs: back.map(({ userId }) => Number(userId.slice(1))) };
    },
  } as unknown as Fleet;
  const verification = new Verification();
  const ports = {
    fleet,
    clock,
    who: { clusterUid: "c", tls: undefined },
    entry: POD,
    isAlive: true,
    logic: [],
    isForced: true,
  };
  return { clock, state, verification, look: (isAlive = true) => verification.look({ ...ports, isAlive }) };
}

describe("Verification", () => {
  it("counts routes again, finds everybody, and says for how long they were away", async () => {
    const { verification, look, state, clock } = world(1_200);
    assert.equal(verification.isDone(clock.nowMs()), false);
    await look();
    assert.equal(verification.isDone(clock.nowMs()), true);
    assert.deepEqual(state.calls, [500, 500, 200]);
    assert.deepEqual(verification.report(PROBE), {
      ...{ initial: 12, asked: 10, forced: 2, returned: 1_200, absent: 0 },
      ...{ offlineP50Ms: 599, offlineP99Ms: 1_187, routesLeft: 0 },
    });
  });

  it("asks again only about those that are not back", async () => {
    const { verification, look, state, clock } = world(3);
    state.absent.add("u1");
    await look();
    assert.equal(verification.isDone(clock.nowMs()), false);
    clock.advance(700);
    state.absent.clear();
    await look();
    assert.deepEqual(state.calls, [3, 1]);
    assert.equal(state.agesMs.at(-1), 800, "the time since its connection ended goes on");
    assert.equal(verification.isDone(clock.nowMs()), true);
    assert.equal(verification.report(PROBE).returned, 3);
  });

  it("gives a few stragglers two seconds, and many all the time there is", async () => {
    for (const [users, isEnough] of [
      [20, true],
      [10, false],
    ] as const) {
      const { verification, look, state, clock } = world(users);
      state.absent.add("u0");
      await look();
      clock.advance(1_999);
      assert.equal(verification.isDone(clock.nowMs()), false);
      clock.advance(1);
      assert.equal(verification.isDone(clock.nowMs()), isEnough, `1 of ${users} is absent`);
      clock.advance(60_000);
      assert.equal(verification.isDone(clock.nowMs()), isEnough);
      assert.equal(verification.report(PROBE).absent, 1);
    }
  });

  it("goes on where it was interrupted when logic was away", async () => {
    const { verification, look, state, clock } = world(600);
    state.isLogicUp = false;
    await look();
    assert.equal(verification.isDone(clock.nowMs()), false);
    assert.equal(verification.report(PROBE).absent, 600);
    state.isLogicUp = true;
    await look();
    assert.equal(verification.isDone(clock.nowMs()), true);
    assert.equal(verification.report(PROBE).returned, 600, "each is counted once");
  });

  it("counts nobody twice when it is asked in the middle of a look", async () => {
    const { verification, look, state, clock } = world(1_200);
    state.onReturned = () => {
      const { returned = 0, absent = 0 } = verification.report(PROBE);
      assert.equal(returned + absent, 1_200);
    };
    await look();
    assert.deepEqual([state.calls.length, verification.isDone(clock.nowMs())], [3, true]);
  });

  it("counts until no route is left, and says when nobody could", async () => {
    const { verification, look, state, clock } = world(0);
    state.routesLeft = [undefined, 3, 0];
    await look();
    assert.equal(verification.report(undefined).routesLeft, undefined);
    await look();
    assert.equal(verification.report(undefined).routesLeft, 3);
    assert.equal(verification.isDone(clock.nowMs()), false);
    await look();
    assert.equal(verification.isDone(clock.nowMs()), true);
  });

  it("of an entry that is dead is about its routes alone", async () => {
    const { verification, look, state, clock } = world(5);
    await look(false);
    assert.equal(verification.isDone(clock.nowMs()), true);
    assert.deepEqual(state.calls, []);
    const { returned, absent, routesLeft } = verification.report(undefined);
    assert.deepEqual([returned, absent, routesLeft], [0, 0, 0], "it had asked nobody");
  });

  it("does not know who came back when the entry died before it said whom it had asked", async () => {
    const { verification, look } = world(5);
    await look(false);
    const { asked, returned, absent, offlineP99Ms } = verification.report(PROBE);
    assert.deepEqual([asked, returned, absent, offlineP99Ms], [10, undefined, undefined, undefined]);
  });

  it("is not done, and knows of nobody, while the entry does not say whom it asked", async () => {
    const { verification, look, state, clock } = world(5);
    state.isEntryUp = false;
    await look();
    clock.advance(5_000);
    assert.equal(verification.isDone(clock.nowMs()), false);
    assert.deepEqual(verification.report(PROBE), { initial: 12, asked: 10, forced: 2, routesLeft: 0 });
    state.isEntryUp = true;
    await look();
    assert.equal(verification.isDone(clock.nowMs()), true);
    assert.equal(verification.report(PROBE).returned, 5);
  });

  it("reads on at the page that got no answer, and counts nobody before it has read them all", async () => {
    const { verification, look, state, clock } = world(1_200);
    state.answersPages = 1;
    await look();
    assert.equal(verification.report(PROBE).returned, undefined);
    state.answersPages = 9;
    await look();
    assert.deepEqual(state.cursors, [0, 500, 500, 1_000]);
    assert.equal(verification.isDone(clock.nowMs()), true);
    assert.equal(verification.report(PROBE).returned, 1_200);
  });
});
