// SPDX-License-Identifier: Apache-2.0
// Renewal of tokens, the device's profile, app states and logout against a scripted entry.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type FakeConnection, setup, turn, until } from "../test/fake-server.ts";
import type { ImClient } from "./client.ts";
import { AppState, Device, Reauth, ReauthOk } from "./codec.ts";
import { Command, DisconnectCode, ErrorCode } from "./codes.ts";

const MINUTE_MS = 60_000;

async function open(tokenTtlMs = 0, options: Parameters<typeof setup>[0] = {}) {
  const world = setup(options);
  world.client.connect();
  const entry = await world.server.accept();
  await entry.hello();
  entry.welcome({ tokenTtlMs });
  await world.client.ready();
  return { ...world, entry };
}

const counting = (): { getToken: () => Promise<string>; calls: () => number } => {
  let calls = 0;
  return { getToken: () => Promise.resolve(`token-${++calls}`), calls: () => calls };
};

describe("token renewal", () => {
  it("sends a fresh token a minute before the old one runs out, and logs in with it later", async () => {
    const { getToken, calls } = counting();
    const { client, clock, entry, server } = await open(10 * MINUTE_MS, { getToken });
    clock.advance(9 * MINUTE_MS - 1);
    await turn();
    assert.equal(calls(), 1);
    clock.advance(1);
    const reauth = await entry.next(Command.REAUTH);
    assert.equal(Reauth.decode(reauth.body).token, "token-2");
    entry.frame(Command.REAUTH, ReauthOk.encode({ tokenTtlMs: 5 * MINUTE_MS }), reauth.rid);
    clock.advance(4 * MINUTE_MS);
    assert.equal(Reauth.decode((await entry.next(Command.REAUTH)).body).token, "token-3");
    entry.drop();
    clock.advance(5000);
    assert.equal((await (await server.accept()).hello()).token, "token-2", "the last one that was accepted");
    await client.close();
  });

  it("renews a short token at four fifths of its life", async () => {
    const { client, clock, entry } = await open(10_000, counting());
    clock.advance(8000);
    await entry.next(Command.REAUTH);
    await client.close();
  });

  it("reports a refusal and tries again with another token; the connection stays", async () => {
    const { client, clock, entry } = await open(2 * MINUTE_MS, counting());
    const errors: number[] = [];
    client.on("error", ({ code }) => errors.push(code));
    clock.advance(96_000);
    const first = await entry.next(Command.REAUTH);
    entry.error(first.rid, ErrorCode.UNAUTHENTICATED);
    assert.deepEqual(errors, [ErrorCode.UNAUTHENTICATED]);
    assert.equal(client.state.kind, "open");
    clock.advance(5000);
    assert.equal(Reauth.decode((await entry.next(Command.REAUTH)).body).token, "token-3");
    await client.close();
  });

  it("tries again when getToken fails, and gives up on a server that knows no REAUTH", async () => {
    let calls = 0;
    const getToken = (): string => {
      if (++calls === 2) throw new Error("backend away");
      return `token-${calls}`;
    };
    const { client, clock, entry } = await open(2 * MINUTE_MS, { getToken });
    client.on("error", () => undefined);
    clock.advance(96_000);
    await until(() => calls === 2);
    await turn();
    clock.advance(5000);
    const reauth = await entry.next(Command.REAUTH);
    entry.error(reauth.rid, ErrorCode.UNKNOWN_COMMAND);
    clock.advance(10 * MINUTE_MS);
    await turn();
    assert.equal(calls, 3);
    await client.close();
  });

  it("asks again with the same token when a server was lost meanwhile", async () => {
    const { client, clock, entry } = await open(2 * MINUTE_MS, counting());
    clock.advance(96_000);
    await entry.next(Command.REAUTH);
    entry.error(0, ErrorCode.RETRYABLE, { retryable: true });
    assert.equal(Reauth.decode((await entry.next(Command.REAUTH)).body).token, "token-2");
    await client.close();
  });
});

describe("device", () => {
  it("is told once and resolves when it is stored", async () => {
    const { client, entry } = await open();
    const prefs = { quiet: "22-07" };
    const told = client.setDevice({ push: { provider: "fcm", token: "t1" }, locale: "zh-CN", appVersion: "2", prefs });
    const frame = await entry.next(Command.DEVICE);
    assert.deepEqual(Device.decode(frame.body), {
      ...{ pushProvider: "fcm", pushToken: "t1", locale: "zh-CN", appVersion: "2", prefs: '{"quiet":"22-07"}' },
    });
    entry.frame(Command.DEVICE, new Uint8Array(0), frame.rid);
    await told;
    await client.close();
  });

  it("is told again after a reconnect and after a retryable refusal, the newest one only", async () => {
    const { client, clock, entry, server } = await open();
    const first = client.setDevice({ locale: "en" });
    await entry.next(Command.DEVICE);
    const second = client.setDevice({ locale: "fr" });
    entry.drop();
    clock.advance(1000);
    const again = await server.login();
    const frame = await again.next(Command.DEVICE);
    assert.equal(Device.decode(frame.body).locale, "fr");
    again.error(frame.rid, ErrorCode.RETRYABLE, { retryable: true });
    clock.advance(5000);
    const last = await again.next(Command.DEVICE);
    again.frame(Command.DEVICE, new Uint8Array(0), last.rid);
    await Promise.all([first, second]);
    await client.close();
  });

  it("rejects when the server refuses it, when the client closes, and afterwards", async () => {
    const { client, entry } = await open();
    const refused = client.setDevice({ locale: "x y" });
    const frame = await entry.next(Command.DEVICE);
    entry.error(frame.rid, ErrorCode.BAD_REQUEST);
    await assert.rejects(refused, { code: ErrorCode.BAD_REQUEST });
    const waiting = client.setDevice({});
    const rejected = assert.rejects(waiting, /closed/);
    await client.close();
    await rejected;
    await assert.rejects(client.setDevice({}), /closed/);
  });
});

describe("app state", () => {
  const states = (entry: FakeConnection): number[] =>
    entry.frames.flatMap(({ cmd, body }) => (cmd === Command.APP_STATE ? [AppState.decode(body).state] : []));

  it("is told when it changes, and after a reconnect while in the background", async () => {
    const { client, clock, entry, server } = await open();
    for (const state of ["foreground", "background", "background", "foreground", "background"] as const)
      client.setAppState(state);
    await until(() => states(entry).length > 0);
    assert.deepEqual(states(entry), [2, 1, 2]);
    entry.drop();
    clock.advance(1000);
    const again = await server.login();
    await until(() => states(again).length > 0);
    assert.deepEqual(states(again), [2]);
    await client.close();
  });
});

describe("logout", () => {
  const ended = (client: ImClient): unknown[] => [client.state.kind, "code" in client.state && client.state.code];

  it("ends with the server's word", async () => {
    const { client, entry } = await open();
    const done = client.logout();
    const frame = await entry.next(Command.LOGOUT);
    entry.error(frame.rid, DisconnectCode.LOGGED_OUT);
    assert.equal(await done, true);
    assert.deepEqual(ended(client), ["closed", DisconnectCode.LOGGED_OUT]);
    assert.equal(await client.logout(), false);
  });

  it("waits for a connection, and for ten seconds at most", async () => {
    const { client, clock, entry, server } = await open();
    entry.drop();
    const done = client.logout();
    await turn();
    clock.advance(1000);
    const again = await server.login();
    await again.next(Command.LOGOUT);
    clock.advance(10_000);
    assert.equal(await done, false, "nobody answered");
    assert.equal(client.state.kind, "closed");
  });

  it("tells the application about a session that the service closed", async () => {
    const { client, entry } = await open();
    const kicks: number[] = [];
    client.on("kicked", ({ code }) => kicks.push(code));
    entry.kick(DisconnectCode.EVICTED);
    await until(() => client.state.kind === "closed");
    assert.deepEqual(kicks, [DisconnectCode.EVICTED]);
  });
});
