// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Flag } from "#proto/commands.ts";
import { Disconnect } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { loginBody, type TestEntry, waitUntil } from "../entry-kit.ts";
import { attached, LEASE_TTL_MS, type LogicHarness, nextConn, online, say, text, unique } from "./kit.ts";

/** Run by logicContract. */
export function sessions(get: () => LogicHarness): void {
  const kicked = async (entry: TestEntry, conn: number): Promise<Disconnect> =>
    Disconnect.decode((await entry.next(RecordKind.KICK, { conn })).body);

  it("kicks the old session when the same device logs in again, on any entry", async () => {
    const [a, b] = [await attached(get), await attached(get)];
    const old = await online(get, a);
    await online(get, b, old.user);
    assert.equal((await kicked(a, old.conn)).code, DisconnectCode.SUPERSEDED);
  });

  it("kicks the old session when another device takes its slot, and says which", async () => {
    const entry = await attached(get);
    const old = await online(get, entry);
    await online(get, entry, old.user, { platform: "android", deviceId: "phone-2", deviceName: "Bob's Pixel" });
    const { code, byDevice } = await kicked(entry, old.conn);
    assert.deepEqual([code, byDevice], [DisconnectCode.KICKED, "Bob's Pixel"]);
  });

  it("refuses bad logins with the code that says what to do", async () => {
    const entry = await attached(get);
    const token = await get().token(unique("user"));
    const cases: [object, string, number][] = [
      [{}, "forged", DisconnectCode.TOKEN_INVALID],
      [{ deviceId: "" }, token, DisconnectCode.PROTOCOL_ERROR],
      [{ deviceId: "d".repeat(65) }, token, DisconnectCode.PROTOCOL_ERROR],
      [{ platform: "toaster" }, token, DisconnectCode.PROTOCOL_ERROR],
      [{ protoMin: 2, protoMax: 3 }, token, DisconnectCode.VERSION_UNSUPPORTED],
    ];
    for (const [hello, bearer, code] of cases) {
      const login = await entry.login(nextConn(), bearer, hello);
      assert.ok(login.kind === "denied" && login.disconnect.code === code, JSON.stringify(hello));
      assert.ok(login.disconnect.reason.length > 10);
    }
    const conn = nextConn();
    entry.send({ kind: RecordKind.LOGIN, conn, rid: 1, body: Uint8Array.of(0xff) });
    const denied = await entry.next(RecordKind.LOGIN_DENIED, { conn });
    assert.equal(Disconnect.decode(denied.body).code, DisconnectCode.PROTOCOL_ERROR);
  });

  it("leaves no route behind when the connection closes while it logs in", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const conn = nextConn();
    const body = loginBody(await get().token(user));
    entry.send({ kind: RecordKind.LOGIN, conn, rid: 1, body }, { kind: RecordKind.CLOSED, conn });
    await online(get, entry);
    await waitUntil("nothing is under way", () => get().core.isIdle());
    assert.equal((await get().router.lookup([user])).size, 0);
    assert.equal(entry.waiting(RecordKind.LOGIN_OK).length, 0);
  });

  it("marks replies and errors with their flags", async () => {
    const { entry, conn } = await online(get, await attached(get));
    entry.send({ kind: RecordKind.COMMAND, cmd: 99, conn, rid: 7 });
    assert.equal((await entry.next(RecordKind.REPLY, { conn, rid: 7 })).flags, Flag.REPLY | Flag.ERROR);
  });
}

/** Run by logicContract. */
export function routing(get: () => LogicHarness): void {
  it("removes the route of a closed connection, and not of its successor", async () => {
    const entry = await attached(get);
    const first = await online(get, entry);
    const second = await online(get, entry, first.user);
    entry.send({ kind: RecordKind.CLOSED, conn: first.conn });
    await online(get, entry);
    await waitUntil("nothing is under way", () => get().core.isIdle());
    assert.equal((await get().router.lookup([first.user])).get(first.user)?.[0]?.conn, second.conn);
    entry.send({ kind: RecordKind.CLOSED, conn: second.conn });
    await waitUntil("the route is gone", async () => (await get().router.lookup([first.user])).size === 0);
  });

  it("turns an unreachable connection into a push and forgets its route", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    await say(alice, { to: bob.user });
    const record = await entry.next(RecordKind.DELIVER, { conn: bob.conn });
    entry.send({ kind: RecordKind.UNREACHABLE, conn: bob.conn, aux: record.aux, body: text(bob.user) });
    const mine = async () => (await get().intents()).filter(({ userId }) => userId === bob.user);
    await waitUntil("the intent is queued", async () => (await mine()).length === 1);
    assert.equal((await get().router.lookup([bob.user])).size, 0);
  });

  it("tells a user's newer session its head when the older one was unreachable", async () => {
    const entry = await attached(get);
    const old = await online(get, entry);
    const now = await online(get, entry, old.user);
    entry.send({ kind: RecordKind.UNREACHABLE, conn: old.conn, aux: 9, body: text(old.user) });
    assert.equal((await entry.next(RecordKind.HEAD, { conn: now.conn })).aux, 9);
    assert.equal((await get().router.lookup([old.user])).get(old.user)?.[0]?.conn, now.conn);
  });
}

/** Run by logicContract. */
export function fencing(get: () => LogicHarness): void {
  it("renews leases, and fences an entry that was purged, for ever", async () => {
    const entry = await attached(get);
    const { user } = await online(get, entry);
    entry.send({ kind: RecordKind.LEASE, rid: 3 });
    assert.equal((await entry.next(RecordKind.LEASED, { rid: 3 })).aux, LEASE_TTL_MS);
    assert.deepEqual(await get().purge(entry.podUid), { incarnations: 1, routesDeleted: 1, routesRemaining: 0 });
    const fenced = Disconnect.decode((await entry.next(RecordKind.FENCED)).body);
    assert.equal(fenced.code, DisconnectCode.ENTRY_FENCED);
    assert.equal((await get().router.lookup([user])).size, 0);
    const zombie = get().entry(entry.podUid);
    assert.equal(await zombie.attach(entry.incarnation), undefined, "an attach of the same incarnation is fenced");
    await get().flushRouter();
    const later = get().entry(entry.podUid);
    assert.equal(await later.attach(entry.incarnation), undefined, "also when Redis forgot the tombstone");
    assert.deepEqual(await get().purge(entry.podUid), { incarnations: 1, routesDeleted: 0, routesRemaining: 0 });
  });

  it("ends the stream of an entry that was declared dead elsewhere", async () => {
    const entry = await attached(get);
    await get().store.fenceEntries(entry.podUid);
    const isOver = (): boolean => {
      get().elapse(1000);
      return entry.isClosed;
    };
    // The logic looks three times in a lease.
    await waitUntil("the stream ended", isOver, LEASE_TTL_MS);
    assert.equal(entry.waiting(RecordKind.FENCED).length, 1);
  });

  it("asks the entries to announce after the router forgot, and routes to them again", async () => {
    const entry = await attached(get);
    const alice = await online(get, entry);
    const conn = nextConn();
    const login = await entry.login(conn, await get().token(unique("bob")));
    assert.ok(login.kind === "ok");
    await get().flushRouter();
    await waitUntil("REANNOUNCE comes", () => {
      get().elapse(1000);
      return entry.waiting(RecordKind.REANNOUNCE).length > 0;
    });
    entry.send({ kind: RecordKind.BIND, conn, body: login.reply.tag });
    const bob = login.reply.userId;
    await waitUntil("bob is routed again", async () => (await get().router.lookup([bob])).size === 1);
    await say(alice, { to: bob });
    assert.equal((await entry.delivered(conn)).inboxSeq, 1);
  });

  it("kicks an announced session that lost its slot meanwhile", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const [first, second] = [nextConn(), nextConn()];
    const old = await entry.login(first, await get().token(user));
    await entry.login(second, await get().token(user), { deviceId: "phone-2", deviceName: "the other" });
    await entry.next(RecordKind.KICK, { conn: first });
    assert.ok(old.kind === "ok");
    entry.send({ kind: RecordKind.BIND, conn: first, body: old.reply.tag });
    const kick = Disconnect.decode((await entry.next(RecordKind.KICK, { conn: first })).body);
    assert.deepEqual([kick.code, kick.byDevice], [DisconnectCode.KICKED, "the other"]);
  });

  it("ends a stream that does not begin with ATTACH, or claims another pod's incarnation", async () => {
    const silent = get().entry(unique("pod"));
    silent.send({ kind: RecordKind.LEASE, rid: 1 });
    await waitUntil("the stream ended", () => silent.isClosed);
    const other = await attached(get);
    const thief = get().entry(unique("pod"));
    void thief.attach(other.incarnation).catch(() => undefined);
    await waitUntil("the stream ended", () => thief.isClosed);
    const broken = await attached(get);
    broken.send({ kind: RecordKind.BIND, conn: 1, body: Uint8Array.of(0xff, 0xff) });
    await waitUntil("the stream ended", () => broken.isClosed);
  });
}
