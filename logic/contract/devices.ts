// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { ErrorCode, toImError } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { AppState, type Device, type DevicePresence, type UserPresence } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { waitUntil } from "../entry-kit.ts";
import { readPresence } from "../presence/presence.ts";
import { attached, type LogicHarness, nextConn, online, unique } from "./kit.ts";

const pushTokens = async (get: () => LogicHarness, ...users: string[]): Promise<string[]> =>
  (await get().store.pushTargets(users)).map(({ pushToken }) => pushToken).filter((pushToken) => pushToken !== "");

/** `undefined` while it is not known: a router that another test flushed is held to be told again who is online. */
async function presenceNow(get: () => LogicHarness, users: readonly string[]): Promise<UserPresence[] | undefined> {
  try {
    return await readPresence(get().core.admin, users);
  } catch (thrown) {
    if (toImError(thrown).code !== ErrorCode.RETRYABLE) throw thrown;
    return undefined;
  }
}

async function presencesOf(get: () => LogicHarness, ...users: string[]): Promise<UserPresence[]> {
  let found: UserPresence[] | undefined;
  const isKnown = async (): Promise<boolean> => {
    found = await presenceNow(get, users);
    if (!found) get().elapse(500);
    return found !== undefined;
  };
  await waitUntil("it is known who is online", isKnown, 60_000);
  return found ?? [];
}

const presenceOf = async (get: () => LogicHarness, user: string): Promise<UserPresence> => {
  const [found] = await presencesOf(get, user);
  assert.ok(found);
  return found;
};

/** Run by logicContract: DEVICE and APP_STATE. */
export function devices(get: () => LogicHarness): void {
  it("stores what a device tells and answers then", async () => {
    const { entry, conn, user } = await online(get, await attached(get));
    const pushToken = unique("token");
    const device = { pushProvider: "fcm", pushToken, locale: "zh-Hans-CN", appVersion: "2.1", prefs: '{"a":1}' };
    assert.deepEqual(await entry.device(conn, device), { kind: "ok", body: 0 });
    assert.deepEqual(await pushTokens(get, user), [pushToken]);
    assert.equal((await entry.device(conn, {})).kind, "ok");
    assert.deepEqual(await pushTokens(get, user), [], "an empty one unbinds");
  });

  it("moves a push token when the account on a device changes", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    const push = { pushProvider: "apns", pushToken: unique("token") };
    await entry.device(alice.conn, push);
    await entry.device(bob.conn, push);
    assert.deepEqual(await pushTokens(get, alice.user), []);
    assert.deepEqual(await pushTokens(get, bob.user), [push.pushToken]);
  });

  const good: [string, Partial<Device>][] = [
    ["a push token of 4096 bytes", { pushProvider: "p".repeat(32), pushToken: "t".repeat(4096) }],
    ["a locale of 35 characters", { locale: "abcdefgh-abcdefgh-abcdefgh-abcdefgh" }],
    ["an app version of 128 characters", { appVersion: "v".repeat(128) }],
    ["prefs of 4096 bytes", { prefs: `{"a":"${"x".repeat(4088)}"}` }],
  ];
  const bad: [string, Partial<Device>][] = [
    ["a provider without a token", { pushProvider: "fcm" }],
    ["a token without a provider", { pushToken: "t" }],
    ["a provider of 33 characters", { pushProvider: "p".repeat(33), pushToken: "t" }],
    ["a provider in capitals", { pushProvider: "FCM", pushToken: "t" }],
    ["a push token of 4097 bytes", { pushProvider: "fcm", pushToken: "t".repeat(4097) }],
    ["a push token with NUL", { pushProvider: "fcm", pushToken: "a\0b" }],
    ["a locale of 36 characters", { locale: "abcdefgh-abcdefgh-abcdefgh-abcdefgh-" }],
    ["a locale with a space", { locale: "zh CN" }],
    ["a locale with a slash", { locale: "../etc" }],
    ["an app version of 129 characters", { appVersion: "v".repeat(129) }],
    ["prefs that are no JSON", { prefs: "{" }],
    ["prefs that are a list", { prefs: "[]" }],
    ["prefs that are null", { prefs: "null" }],
    ["prefs of 4097 bytes", { prefs: `{"a":"${"x".repeat(4089)}"}` }],
  ];
  for (const [what, device] of good) {
    it(`accepts a DEVICE with ${what}`, async () => {
      const { entry, conn } = await online(get, await attached(get));
      assert.equal((await entry.device(conn, device)).kind, "ok");
    });
  }
  it("refuses a DEVICE over the bounds and says which", async () => {
    const { entry, conn, user } = await online(get, await attached(get));
    for (const [what, device] of bad) {
      const answer = await entry.device(conn, device);
      assert.ok(answer.kind === "error" && answer.error.code === ErrorCode.BAD_REQUEST, what);
      assert.ok(answer.error.reason.length > 15, what);
    }
    const broken = await entry.ask(conn, Command.DEVICE, Uint8Array.of(0xff), 0, () => 0);
    assert.ok(broken.kind === "error" && broken.error.code === ErrorCode.BAD_REQUEST);
    assert.deepEqual(await pushTokens(get, user), []);
  });

  it("keeps the app's state, and refuses states nobody knows", async () => {
    const { entry, conn, user } = await online(get, await attached(get));
    const tell = (state: number): void =>
      entry.send({ kind: RecordKind.COMMAND, cmd: Command.APP_STATE, conn, body: AppState.encode({ state }) });
    const isBackground = async (): Promise<boolean> => {
      get().elapse(300);
      return (await presenceOf(get, user)).devices[0]?.background === true;
    };
    tell(2);
    await waitUntil("the app is in the background", isBackground);
    tell(1);
    await waitUntil("the app is in front", async () => !(await isBackground()));
    for (const state of [0, 3]) {
      const body = AppState.encode({ state });
      const answer = await entry.ask(conn, Command.APP_STATE, body, 0, () => 0);
      assert.ok(answer.kind === "error" && answer.error.code === ErrorCode.BAD_REQUEST);
    }
  });
}

/** Run by logicContract: LOGOUT. */
export function logouts(get: () => LogicHarness): void {
  it("unbinds the push token and removes the route at a logout, and says that it is done", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const conn = nextConn();
    const login = await entry.login(conn, await get().token(user));
    assert.ok(login.kind === "ok");
    await entry.device(conn, { pushProvider: "fcm", pushToken: unique("token") });
    const { tag } = login.reply;
    entry.send({ kind: RecordKind.LOGOUT, conn, body: tag }, { kind: RecordKind.CLOSED, conn });
    await entry.next(RecordKind.LOGOUT_DONE, { conn });
    assert.deepEqual(await pushTokens(get, user), []);
    await waitUntil("the route is gone", async () => (await get().router.lookup([user])).size === 0);
  });

  it("takes the logout of a session that another logic had, and not that of an older login", async () => {
    const [before, after] = [await attached(get), await attached(get)];
    const user = unique("user");
    const logins = [];
    for (const conn of [nextConn(), nextConn()]) {
      const login = await before.login(conn, await get().token(user));
      assert.ok(login.kind === "ok");
      logins.push({ conn, tag: login.reply.tag });
    }
    const [first, second] = logins;
    assert.ok(first && second);
    const pushToken = unique("token");
    await before.device(second.conn, { pushProvider: "fcm", pushToken });
    after.send({ kind: RecordKind.LOGOUT, conn: first.conn, body: first.tag });
    await after.next(RecordKind.LOGOUT_DONE, { conn: first.conn });
    assert.deepEqual(await pushTokens(get, user), [pushToken], "the device has logged in again");
    after.send({ kind: RecordKind.LOGOUT, conn: second.conn, body: second.tag });
    await after.next(RecordKind.LOGOUT_DONE, { conn: second.conn });
    assert.deepEqual(await pushTokens(get, user), []);
  });
}

/** Run by logicContract: who is online. */
export function presence(get: () => LogicHarness): void {
  const byPlatform = (devicesOf: readonly DevicePresence[]): [string, boolean, string][] =>
    devicesOf
      .map(({ platform, online: isOnline, slot }): [string, boolean, string] => [platform, isOnline, slot])
      .sort(([a], [b]) => (a < b ? -1 : 1));

  it("is of routes and leases: per device, from the login to the end of the connection", async () => {
    const entry = await attached(get);
    const user = unique("user");
    assert.deepEqual(await presenceOf(get, user), { userId: user, online: false, devices: [] });
    const phone = await online(get, entry, user);
    const web = await online(get, entry, user, { platform: "web", deviceId: "browser" });
    const both = await presenceOf(get, user);
    assert.equal(both.online, true);
    assert.deepEqual(byPlatform(both.devices), [
      ["ios", true, "mobile"],
      ["web", true, "web"],
    ]);
    entry.send({ kind: RecordKind.CLOSED, conn: web.conn });
    await waitUntil("the browser is offline", async () => {
      const { devices: now } = await presenceOf(get, user);
      return now.some(({ platform, online: isOnline }) => platform === "web" && !isOnline);
    });
    const rest = await presenceOf(get, user);
    assert.equal(rest.online, true);
    const browser = rest.devices.find(({ platform }) => platform === "web");
    assert.ok(Math.abs((browser?.lastSeenMs ?? 0) - Date.now()) < 120_000);
    await get().purge(entry.podUid);
    assert.equal((await presenceOf(get, user)).online, false, "a purged entry holds nobody");
    assert.equal(phone.user, user);
  });

  it("answers for many in their order, and refuses too many", async () => {
    const entry = await attached(get);
    const { user } = await online(get, entry);
    const [a, b] = [unique("a"), unique("b")];
    const found = await presencesOf(get, a, user, b, user);
    assert.deepEqual(
      found.map(({ userId, online: isOnline }) => [userId, isOnline]),
      [
        [a, false],
        [user, true],
        [b, false],
        [user, true],
      ],
    );
    const many = Array.from({ length: 501 }, (_, at) => `u${at}`);
    await assert.rejects(readPresence(get().core.admin, many), { code: ErrorCode.BAD_REQUEST });
    assert.equal((await readPresence(get().core.admin, many.slice(1))).length, 500);
  });

  it("is not known for a while of a router that forgot: nobody is called offline meanwhile", async () => {
    const entry = await attached(get);
    const { user } = await online(get, entry);
    const stranger = unique("stranger");
    assert.equal((await presenceOf(get, user)).online, true);
    await get().flushRouter();
    assert.equal(await presenceNow(get, [user]), undefined);
    assert.deepEqual(await presenceNow(get, [stranger]), [{ userId: stranger, online: false, devices: [] }]);
    // This entry announces nothing: after the hold the user is away.
    assert.equal((await presenceOf(get, user)).online, false);
  });
}
