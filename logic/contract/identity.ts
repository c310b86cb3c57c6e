// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode, type ImError } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { SessionTag } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { type TestEntry, waitUntil } from "../entry-kit.ts";
import { kickUser, revokeToken, revokeUser } from "../grpc/admin.ts";
import { attached, type LogicHarness, nextConn, online, type TokenOptions, unique } from "./kit.ts";

const DAY_MS = 86_400_000;

/** Logs in and returns everything about it. */
async function session(get: () => LogicHarness, entry: TestEntry, user: string, facts: TokenOptions = {}, hello = {}) {
  const conn = nextConn();
  const login = await entry.login(conn, await get().token(user, facts), hello);
  assert.ok(login.kind === "ok", JSON.stringify(login));
  return { conn, tag: login.reply.tag, welcome: login.welcome };
}

/** Code of the KICK that comes within some time. */
async function kickCode(get: () => LogicHarness, entry: TestEntry, conn: number): Promise<number> {
  await waitUntil("KICK comes", () => {
    get().elapse(500);
    return entry.waiting(RecordKind.KICK).some((record) => record.conn === conn);
  });
  return (await entry.kicked(conn)).code;
}

/** Run by logicContract: revocation. */
export function revocation(get: () => LogicHarness): void {
  it("closes the sessions of a revoked user and refuses the tokens from before, on every entry", async () => {
    const [a, b] = [await attached(get), await attached(get)];
    const user = unique("user");
    const other = await online(get, a);
    const old = await session(get, a, user, { ageS: 100 });
    const web = await session(get, b, user, { ageS: 50 }, { platform: "web", deviceId: "w" });
    const young = await session(get, b, user, {}, { platform: "desktop", deviceId: "d" });
    await revokeUser(get().core.admin, { userId: user, validAfterMs: Date.now() - 10_000 + offset(get) });
    assert.equal(await kickCode(get, a, old.conn), DisconnectCode.TOKEN_REVOKED);
    assert.equal(await kickCode(get, b, web.conn), DisconnectCode.TOKEN_REVOKED);
    const denied = await b.login(nextConn(), await get().token(user, { ageS: 100 }));
    assert.ok(denied.kind === "denied" && denied.disconnect.code === DisconnectCode.TOKEN_REVOKED);
    assert.equal((await b.sync(young.conn, {})).kind, "ok", "a token issued later goes on");
    assert.equal((await a.sync(other.conn, {})).kind, "ok", "and so does everybody else");
    assert.equal(b.waiting(RecordKind.KICK).length, 0);
  });

  it("closes the sessions of one revoked token and refuses it", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const tokenId = unique("jti");
    const bad = await session(get, entry, user, { tokenId });
    const good = await session(get, entry, user, { tokenId: unique("jti") }, { platform: "web", deviceId: "w" });
    await revokeToken(get().core.admin, { tokenId, expiresMs: 0 });
    assert.equal(await kickCode(get, entry, bad.conn), DisconnectCode.TOKEN_REVOKED);
    const denied = await entry.login(nextConn(), await get().token(user, { tokenId }));
    assert.ok(denied.kind === "denied" && denied.disconnect.code === DisconnectCode.TOKEN_REVOKED);
    assert.equal((await entry.sync(good.conn, {})).kind, "ok");
  });

  it("checks the token of a session that comes from another logic", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const tokenId = unique("jti");
    const { conn, tag } = await session(get, entry, user, { tokenId });
    await revokeToken(get().core.admin, { tokenId, expiresMs: Date.now() + DAY_MS });
    assert.equal(await kickCode(get, entry, conn), DisconnectCode.TOKEN_REVOKED);
    entry.send({ kind: RecordKind.BIND, conn, body: tag });
    assert.equal(await kickCode(get, entry, conn), DisconnectCode.TOKEN_REVOKED, "whoever asks, and however late");
  });

  it("refuses nonsense of an administrator", async () => {
    const { admin } = get().core;
    const cases = [
      () => revokeUser(admin, { userId: "", validAfterMs: 0 }),
      () => revokeUser(admin, { userId: "a b", validAfterMs: 0 }),
      () => revokeUser(admin, { userId: "alice", validAfterMs: 2 ** 60 }),
      () => revokeToken(admin, { tokenId: "", expiresMs: 0 }),
      () => revokeToken(admin, { tokenId: "j".repeat(129), expiresMs: 0 }),
      () => revokeToken(admin, { tokenId: `\u0001acme\u0001${"j".repeat(129)}`, expiresMs: 0 }),
      () => revokeToken(admin, { tokenId: "\u0001acme\u0001", expiresMs: 0 }),
      () => kickUser(admin, { userId: "acme/", slot: "", reason: "" }),
      () => kickUser(admin, { userId: "acme/shop/alice", slot: "", reason: "" }),
      () => kickUser(admin, { userId: "a\0", slot: "", reason: "" }),
    ];
    for (const run of cases) await assert.rejects(run, { code: ErrorCode.BAD_REQUEST } satisfies Partial<ImError>);
  });
}

/** Run by logicContract: REAUTH, and the end of a token. */
export function tokens(get: () => LogicHarness): void {
  it("takes a fresh token in the middle of a session, and the tag that moves with it", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const first = await session(get, entry, user, { tokenId: "old", expiresInS: 60 });
    const ttlMs = first.welcome.tokenTtlMs;
    assert.ok(ttlMs > 30_000 && ttlMs <= 60_000, String(ttlMs));
    const answer = await entry.reauth(first.conn, await get().token(user, { tokenId: "new", expiresInS: 3600 }));
    assert.ok(answer.kind === "ok" && answer.body.tokenTtlMs > 3_500_000, JSON.stringify(answer));
    const tag = SessionTag.decode((await entry.next(RecordKind.SESSION_TAG, { conn: first.conn })).body);
    assert.deepEqual([tag.tokenId, tag.userId, tag.loginSeq], ["new", user, SessionTag.decode(first.tag).loginSeq]);
    await revokeToken(get().core.admin, { tokenId: "old", expiresMs: 0 });
    assert.equal((await entry.sync(first.conn, {})).kind, "ok", "it stands on the new token");
  });

  it("refuses a REAUTH that proves nothing, and keeps the session", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const { conn } = await session(get, entry, user);
    const revoked = unique("jti");
    await get().store.revokeToken(revoked, Date.now() + DAY_MS);
    const cases: [string, string, number][] = [
      ["nothing", "", ErrorCode.UNAUTHENTICATED],
      ["forged", "forged", ErrorCode.UNAUTHENTICATED],
      ["of another user", await get().token(unique("other")), ErrorCode.PERMISSION_DENIED],
      ["revoked", await get().token(user, { tokenId: revoked }), ErrorCode.UNAUTHENTICATED],
    ];
    for (const [what, token, code] of cases) {
      const answer = await entry.reauth(conn, token);
      assert.ok(answer.kind === "error" && answer.error.code === code, what);
      assert.ok(answer.error.reason.length > 15);
    }
    const broken = await entry.ask(conn, Command.REAUTH, Uint8Array.of(0xff), 0, () => 0);
    assert.ok(broken.kind === "error" && broken.error.code === ErrorCode.BAD_REQUEST);
    assert.equal((await entry.sync(conn, {})).kind, "ok");
    assert.equal(entry.waiting(RecordKind.SESSION_TAG).length, 0);
  });

  it("closes a session whose token has run out, after the leeway, with a code that lets it come back", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const { conn, tag } = await session(get, entry, user);
    const fields = SessionTag.decode(tag);
    const body = SessionTag.encode({ ...fields, tokenExpiresMs: fields.tokenIssuedMs - 61_000 });
    entry.send({ kind: RecordKind.BIND, conn, body });
    assert.equal(await kickCode(get, entry, conn), DisconnectCode.TOKEN_EXPIRED);
  });
}

/** Difference of the harness's wall clock to ours. */
function offset(get: () => LogicHarness): number {
  return get().core.admin.clock.wallMs() - Date.now();
}

/** Run by logicContract: how often one may log in. */
export function slots(get: () => LogicHarness): void {
  it("damps logins that come too often, with a code and a delay, and leaves other users alone", async () => {
    const entry = await attached(get);
    const user = unique("user");
    let denied: Awaited<ReturnType<TestEntry["login"]>> | undefined;
    let accepted = 0;
    for (; accepted < 100 && !denied; accepted++) {
      const deviceId = `phone-${accepted % 2}`;
      const login = await entry.login(nextConn(), await get().token(user), { deviceId });
      if (login.kind === "denied") denied = login;
    }
    assert.ok(denied?.kind === "denied");
    assert.equal(accepted, 16, "fifteen in a minute");
    assert.equal(denied.disconnect.code, DisconnectCode.FLAPPING);
    assert.ok(denied.disconnect.retryAfterMs > 5000 && denied.disconnect.retryAfterMs <= 10_000);
    const again = await entry.login(nextConn(), await get().token(user));
    assert.ok(again.kind === "denied" && again.disconnect.code === DisconnectCode.FLAPPING);
    await online(get, entry);
    await online(get, entry, user, { platform: "web", deviceId: "browser" });
  });
}

/** Run by logicContract: kicks that have to travel. */
export function kicks(get: () => LogicHarness): void {
  it("kicks a session whose entry is away for a moment, as soon as it is back", async () => {
    const [a, b] = [await attached(get), await attached(get)];
    const old = await online(get, a);
    a.close();
    await waitUntil("the stream ended", () => get().core.entries.find(a.incarnation) === undefined);
    await online(get, b, old.user, { deviceId: "phone-2", deviceName: "new phone" });
    const back = get().entry(a.podUid);
    assert.ok(await back.attach(a.incarnation));
    const { code, byDevice } = await back.kicked(old.conn);
    assert.deepEqual([code, byDevice], [DisconnectCode.KICKED, "new phone"]);
  });

  it("closes the sessions of a user on request, in one class or in all", async () => {
    const [a, b] = [await attached(get), await attached(get)];
    const phone = await online(get, a);
    const web = await online(get, b, phone.user, { platform: "web", deviceId: "w" });
    const kick = (slot: string) => kickUser(get().core.admin, { userId: phone.user, slot, reason: "spam" });
    assert.deepEqual(await kick("desktop"), { sessions: 0 });
    assert.deepEqual(await kick("web"), { sessions: 1 });
    const { code, reason } = await b.kicked(web.conn);
    assert.deepEqual([code, reason], [DisconnectCode.EVICTED, "spam"]);
    assert.equal(a.waiting(RecordKind.KICK).length, 0);
    assert.deepEqual(await kick(""), { sessions: 2 }, "the entry has not said CLOSED yet");
    assert.equal((await a.kicked(phone.conn)).code, DisconnectCode.EVICTED);
  });

  it("deletes the route of a connection that closed while its logic died", async () => {
    const [entry, other] = [await attached(get), await attached(get)];
    const { user, conn } = await online(get, entry);
    const { user: second, conn: secondConn } = await online(get, entry);
    const moved = await online(get, other, second);
    entry.send({ kind: RecordKind.LOGIN_ABORTED, conn }, { kind: RecordKind.LOGIN_ABORTED, conn: secondConn });
    entry.send({ kind: RecordKind.LOGIN_ABORTED, conn: 999_999 });
    await waitUntil("the route is gone", async () => (await get().router.lookup([user])).size === 0);
    await waitUntil("nothing is under way", () => get().core.isIdle());
    assert.equal((await get().router.lookup([second])).get(second)?.[0]?.conn, moved.conn, "not its successor's");
  });
}
