// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { RouterLogin, SessionKey } from "../router/router.ts";
import type { Session } from "../session/session.ts";
import { RouteWriter } from "./route-writer.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const session = (conn: number): Session =>
  ({ userId: "alice", slot: "mobile", conn, entry: { incarnation: "pod.1" } }) as Session;

function setUp() {
  const state = { isAway: false };
  const removed: number[] = [];
  const announced: number[] = [];
  const faults: string[] = [];
  const routed: string[] = [];
  const answer = async <T>(reply: T): Promise<T> => {
    if (state.isAway) throw new ImError(ErrorCode.RETRYABLE, "away");
    return reply;
  };
  const writer = new RouteWriter({
    router: {
      login: async (routes) => {
        const outcomes = await answer(routes.map((): RouterLogin => ({ kind: "ok" })));
        announced.push(...routes.map(({ conn }) => conn));
        return outcomes;
      },
      logout: async (sessions: readonly SessionKey[]) => {
        const outcomes = await answer(sessions.map(() => true));
        removed.push(...sessions.map(({ conn }) => conn));
        return outcomes;
      },
      forget: async (_, conns) => answer(conns.size),
    },
    kicks: { kick: () => undefined },
    store: { devicesOf: async () => [] },
    onStoreFault: (op) => void faults.push(op),
    onRouterFault: (op) => void faults.push(op),
    onUncertain: () => void faults.push("uncertain"),
    onRouted: (userId) => void routed.push(userId),
    defer: setImmediate,
  });
  return { writer, state, removed, announced, faults, routed };
}

describe("route writer", () => {
  it("removes what it could not remove while the router was away, once it answers", async () => {
    const { writer, state, removed, faults } = setUp();
    state.isAway = true;
    writer.remove(session(1));
    await turn();
    await turn();
    assert.deepEqual([removed, faults], [[], ["logout"]]);
    state.isAway = false;
    writer.retryMissed();
    await turn();
    await turn();
    assert.deepEqual(removed, [1]);
    writer.retryMissed();
    await turn();
    assert.deepEqual(removed, [1], "once is enough");
  });

  it("announces again what it could not announce, and not for a connection that closed meanwhile", async () => {
    const { writer, state, announced } = setUp();
    let isOpen = true;
    state.isAway = true;
    writer.announce(session(1), { isOpen: () => true, onFenced: () => undefined });
    writer.announce(session(2), { isOpen: () => isOpen, onFenced: () => undefined });
    await turn();
    await turn();
    isOpen = false;
    state.isAway = false;
    writer.retryMissed();
    await turn();
    await turn();
    assert.deepEqual(announced, [1]);
  });

  it("has everything announced after a write whose answer was lost: whom it replaced, nobody knows", async () => {
    const { writer, state, announced, faults, routed } = setUp();
    const watch = { isOpen: () => true, onFenced: () => undefined };
    writer.announce(session(1), watch);
    await turn();
    await turn();
    assert.deepEqual([announced, faults], [[1], []]);
    assert.deepEqual(routed, [], "no news");
    writer.announce(session(2), { ...watch, isUnsure: true });
    await turn();
    await turn();
    assert.deepEqual([announced, faults], [[1, 2], ["uncertain"]]);
    assert.deepEqual(routed, ["alice"]);
    faults.length = 0;
    writer.announce(session(9), { ...watch, isOpen: () => false, isUnsure: true });
    await turn();
    assert.deepEqual([announced, faults], [[1, 2], ["uncertain"]], "it has closed again: all the same");
    state.isAway = true;
    writer.announce(session(3), watch);
    await turn();
    await turn();
    state.isAway = false;
    writer.retryMissed();
    await turn();
    await turn();
    await turn();
    assert.deepEqual(
      [announced, faults],
      [
        [1, 2, 3],
        ["uncertain", "announce", "logout", "uncertain"],
      ],
    );
  });
});
