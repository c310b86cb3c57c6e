// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { Disconnect } from "#proto/gen/messages.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import { MemoryStore } from "../store/memory.ts";
import { SessionGuard } from "./guard.ts";
import type { Session } from "./session.ts";

const NOTHING = new Uint8Array(0);

function setUp() {
  const clock = new FakeClock();
  const store = new MemoryStore();
  const sessions: Session[] = [];
  const closed: [number, number][] = [];
  const faults: string[] = [];
  const deferred: (() => void)[] = [];
  const guard = new SessionGuard({
    store,
    sessions: () => sessions,
    clock,
    defer: (fn) => void deferred.push(fn),
    onFault: (op) => void faults.push(op),
    onKick: () => undefined,
  });
  const entry = {
    incarnation: "pod.1",
    send: ({ conn = 0, body }: RecordInput) => closed.push([conn, Disconnect.decode(body ?? NOTHING).code]) > 0,
  };
  const session = (conn: number, userId: string, token: Partial<Session["token"]> = {}): Session => ({
    ...{ entry, conn, userId, slot: "web", deviceId: "d", deviceName: "d", loginSeq: 1, epochMark: 1 },
    notedAckSeq: 0,
    token: { tokenId: "", issuedAtMs: 1000, expiresAtMs: 0, ...token },
  });
  const settle = async (): Promise<void> => {
    for (const fn of deferred.splice(0)) fn();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, store, sessions, closed, faults, guard, session, settle };
}

const { TOKEN_REVOKED, TOKEN_EXPIRED } = DisconnectCode;

describe("session guard", () => {
  it("closes what was revoked since the last round, once, and starts from where it came in", async () => {
    const { store, sessions, closed, guard, session } = setUp();
    await store.revokeUser("carol", 5000);
    await guard.start();
    sessions.push(session(1, "alice"), session(2, "bob", { tokenId: "j" }), session(3, "carol"));
    await store.revokeUser("alice", 1001);
    await store.revokeToken("j", 9000);
    await guard.poll();
    await guard.poll();
    assert.deepEqual(closed, [
      [1, TOKEN_REVOKED],
      [2, TOKEN_REVOKED],
    ]);
    guard.stop();
  });

  it("reads many revocations in one round", async () => {
    const { store, sessions, closed, guard, session } = setUp();
    await guard.start();
    for (let at = 0; at < 1200; at++) {
      sessions.push(session(at, `u${at}`));
      await store.revokeUser(`u${at}`, 2000);
    }
    await guard.poll();
    assert.equal(closed.length, 1200);
    guard.stop();
  });

  it("checks a login again only when something was revoked while it ran", async () => {
    const { store, closed, guard, session, settle } = setUp();
    await guard.start();
    const { mark } = guard;
    let asked = 0;
    const find = store.findRevoked.bind(store);
    store.findRevoked = (tokens) => {
      asked++;
      return find(tokens);
    };
    guard.opened(session(1, "alice"), mark);
    await settle();
    assert.equal(asked, 0);
    await store.revokeUser("alice", 2000);
    await guard.poll();
    guard.opened(session(2, "alice"), mark);
    await settle();
    assert.deepEqual([asked, closed], [1, [[2, TOKEN_REVOKED]]]);
    guard.stop();
  });

  it("checks everything when a check could not be made, as soon as the store is back", async () => {
    const { store, sessions, closed, faults, guard, session, settle } = setUp();
    await guard.start();
    const find = store.findRevoked.bind(store);
    store.findRevoked = () => Promise.reject(new Error("away"));
    sessions.push(session(1, "alice"), session(2, "bob"));
    const after = store.revocationsAfter.bind(store);
    store.revocationsAfter = () => Promise.reject(new Error("away"));
    await store.revokeUser("alice", 2000);
    for (const one of sessions) guard.check(one);
    await settle();
    await guard.poll();
    assert.deepEqual([closed, faults], [[], ["token check", "revocations"]]);
    store.findRevoked = find;
    store.revocationsAfter = after;
    await guard.poll();
    await settle();
    assert.ok(closed.length > 0 && closed.every(([conn, code]) => conn === 1 && code === TOKEN_REVOKED));
    guard.stop();
  });

  it("closes a session a minute after its token ran out, and not before", async () => {
    const { clock, sessions, closed, guard, session, settle } = setUp();
    await guard.start();
    const expiresAtMs = clock.wallMs() + 10_000;
    sessions.push(session(1, "alice", { expiresAtMs }), session(2, "bob"));
    for (let s = 0; s < 69; s++) {
      clock.advance(1000);
      await settle();
    }
    assert.equal(closed.length, 0);
    for (let s = 0; s < 5; s++) {
      clock.advance(1000);
      await settle();
    }
    assert.deepEqual(closed[0], [1, TOKEN_EXPIRED]);
    assert.ok(closed.every(([conn]) => conn === 1));
    guard.stop();
    assert.equal(clock.pending, 0);
  });
});
