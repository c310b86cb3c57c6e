// SPDX-License-Identifier: Apache-2.0
// States, reconnects, heartbeat and tokens of the client against a scripted entry.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventAt, type FakeConnection, setup, turn, until } from "../test/fake-server.ts";
import { ImClient } from "./client.ts";
import { Ping, Pong } from "./codec.ts";
import { ClientCode, Command, DisconnectCode, ErrorCode, Flag } from "./codes.ts";
import { ImClientError } from "./errors.ts";
import type { ImClientOptions, Network } from "./options.ts";

const codeOf = ({ state }: ImClient): unknown[] => [state.kind, "code" in state && state.code];

describe("state", () => {
  it("idle, connecting, open, reconnecting, open, closed", async () => {
    const { client, server, clock, states } = setup();
    assert.equal(client.state.kind, "idle");
    client.connect();
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.drop(1006, "reset by peer");
    assert.deepEqual(client.state, {
      kind: "reconnecting",
      attempt: 1,
      code: ClientCode.CONNECTION_LOST,
      reason: "reset by peer",
      delayMs: 250,
    });
    clock.advance(250);
    await server.login();
    await client.ready();
    await client.close();
    await client.close();
    assert.deepEqual(states, ["connecting", "open", "reconnecting", "open", "closed"]);
    assert.deepEqual(client.state, {
      kind: "closed",
      code: ClientCode.CLOSED,
      reason: "closed by the application",
      byDevice: "",
    });
    assert.deepEqual([server.connections.length, client.stats.logins, client.stats.reconnects], [2, 2, 1]);
  });

  it("stays connecting while no login worked, with what went wrong", async () => {
    const { client, server, clock } = setup();
    server.isDown = true;
    client.connect();
    await until(() => "reason" in client.state && client.state.reason === "connection refused");
    assert.deepEqual([client.state.kind, "attempt" in client.state && client.state.attempt], ["connecting", 2]);
    server.isDown = false;
    clock.advance(20_000);
    await server.login();
    await client.ready();
    await client.close();
  });

  const moments: Record<string, (entry: FakeConnection, client: ImClient) => void> = {
    login: () => {},
    open: (entry) => entry.welcome(),
    hole(entry) {
      entry.welcome();
      entry.push(eventAt(2));
    },
    reconnecting(entry) {
      entry.welcome();
      entry.drop();
    },
    moving(entry) {
      entry.welcome();
      entry.goaway(1_000, 2_000);
    },
    sending(entry, client) {
      entry.welcome();
      void client.send({ to: "bob", content: "x" }).catch(() => {});
    },
  };
  for (const [moment, reach] of Object.entries(moments)) {
    it(`close leaves no timer and no connection: ${moment}`, async () => {
      const { client, server, clock } = setup();
      client.connect();
      const entry = await server.accept();
      await entry.hello();
      reach(entry, client);
      await turn();
      await client.close();
      await turn();
      assert.deepEqual([clock.pending, server.open.length], [0, 0]);
    });
  }

  it("close before connect, and before the dial", async () => {
    for (const connects of [false, true]) {
      const { client, server, clock } = setup();
      if (connects) client.connect();
      await client.close();
      await turn();
      assert.deepEqual([client.state.kind, clock.pending, server.open.length], ["closed", 0, 0]);
    }
  });

  it("a listener may close the client in the middle of a batch", async () => {
    const { client, server, clock, shown } = setup();
    client.on("message", () => void client.close());
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.push(eventAt(1), eventAt(2));
    await turn();
    assert.deepEqual([shown, clock.pending], [["text 1"], 0]);
    const closing = setup();
    closing.client.on("state", ({ kind }) => kind === "open" && void closing.client.close());
    closing.client.connect();
    await closing.server.login({ inboxHead: 5 });
    await turn();
    assert.deepEqual([closing.client.state.kind, closing.clock.pending], ["closed", 0]);
  });

  it("connects again after close, from where it was", async () => {
    const { client, server, shown } = setup();
    client.connect();
    (await server.login()).push(eventAt(1));
    await client.close();
    client.connect();
    const entry = await server.accept();
    assert.equal((await entry.hello()).inboxCursor, 1);
    entry.welcome({ inboxHead: 1 });
    entry.push(eventAt(2));
    assert.deepEqual(shown, ["text 1", "text 2"]);
    await client[Symbol.asyncDispose]();
  });

  it("ready rejects when closed or aborted, and leaves no listener", async () => {
    const { client, server } = setup();
    server.isDown = true;
    client.connect();
    const controller = new AbortController();
    const waiting = client.ready({ signal: controller.signal });
    controller.abort();
    await assert.rejects(waiting, { code: ClientCode.ABORTED });
    await assert.rejects(client.ready({ signal: AbortSignal.abort() }), { code: ClientCode.ABORTED });
    const other = client.ready();
    await Promise.all([assert.rejects(other, { code: ClientCode.CLOSED }), client.close()]);
  });

  it("options that cannot work are named", () => {
    const base = { url: "wss://im.example/ws", getToken: () => "t", deviceId: "d" };
    assert.throws(() => new ImClient({ ...base, url: "im.example" }), /url "im.example" is no URL/);
    assert.throws(() => new ImClient({ ...base, deviceId: "" }), /deviceId/);
    assert.throws(() => new ImClient({ ...base, window: 0 }), /window must be an integer of at least 1/);
    for (const stableMs of [Number.NaN, -1, "x" as unknown as number]) {
      assert.throws(() => new ImClient({ ...base, timing: { stableMs } }), /timing\.stableMs must be a number of ms/);
    }
  });

  it("a duration that is undefined has its default: the client does not dial without pause", async () => {
    const timing = { backoffBaseMs: undefined } as unknown as ImClientOptions["timing"] & object;
    const { client, server, clock } = setup({ timing });
    const attempt = async (): Promise<number> => {
      for (let i = 0; i < 5; i++) await turn();
      return client.state.kind === "connecting" ? client.state.attempt : 0;
    };
    server.isDown = true;
    client.connect();
    assert.equal(await attempt(), 2);
    clock.advance(249);
    assert.equal(await attempt(), 2);
    clock.advance(1);
    assert.equal(await attempt(), 3);
    await client.close();
  });

  it("a URL the transport cannot dial is terminal and says what to use", async () => {
    const client = new ImClient({ url: "tls://im.example", getToken: () => "t", deviceId: "d" });
    client.connect();
    await assert.rejects(client.ready(), /entry point for Node/);
  });
});

describe("reconnect", () => {
  it("full jitter from 0.5 s up to 20 s; starts anew only after 30 s of stability", async () => {
    const { client, server, clock } = setup({ random: () => 0.999 });
    const delays: number[] = [];
    client.on("state", (state) => state.kind === "reconnecting" && delays.push(Math.round(state.delayMs)));
    client.connect();
    for (let i = 0; i < 8; i++) {
      (await server.login()).drop();
      clock.advance(20_000);
    }
    const stable = await server.login();
    clock.advance(30_000);
    stable.drop();
    assert.deepEqual(delays, [500, 999, 1998, 3996, 7992, 15984, 19980, 19980, 500]);
    await client.close();
  });

  it("obeys the advised delay on top", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const entry = await server.login();
    entry.error(0, DisconnectCode.OVERLOADED, { retryAfterMs: 5_000 });
    assert.ok(client.state.kind === "reconnecting");
    assert.deepEqual([client.state.code, client.state.delayMs], [DisconnectCode.OVERLOADED, 5_250]);
    assert.equal(server.open.length, 0);
    clock.advance(5_250);
    await server.login();
    await client.ready();
    await client.close();
  });

  it("wake skips the pause, and probes an open connection", async () => {
    const { client, server } = setup();
    client.connect();
    (await server.login()).drop();
    client.wake();
    const entry = await server.login();
    await client.ready();
    client.wake();
    await entry.next(Command.PING);
    await client.close();
  });

  it("gives up on a dial or a login that does not answer", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const mute = await server.accept();
    await mute.hello();
    clock.advance(10_000);
    assert.ok(mute.isClosed);
    assert.ok(client.state.kind === "connecting" && client.state.code === DisconnectCode.LOGIN_TIMEOUT);
    clock.advance(20_000);
    await server.login();
    await client.ready();
    await client.close();
  });

  it("bytes that are no frame cost one reconnect", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const entry = await server.login();
    entry.bytes(new Uint8Array([0]));
    assert.equal(client.state.kind, "reconnecting");
    assert.ok(entry.isClosed);
    clock.advance(500);
    await server.login();
    await client.ready();
    await client.close();
  });

  it("frames of unknown commands are ignored", async () => {
    const { client, server, shown } = setup();
    client.connect();
    const entry = await server.login();
    entry.frame(200, new Uint8Array([1, 2, 3]));
    entry.push(eventAt(1));
    assert.deepEqual(shown, ["text 1"]);
    await client.close();
  });
});

describe("heartbeat", () => {
  it("pings within the server's interval and reconnects when nothing comes back", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const entry = await server.login({ pingIntervalMs: 10_000 });
    clock.advance(9_000);
    const first = await entry.next(Command.PING);
    clock.advance(120);
    entry.pong(first.rid, 0);
    assert.equal(client.stats.rttMs, 120);
    clock.advance(9_000);
    await entry.next(Command.PING);
    clock.advance(9_999);
    assert.equal(client.state.kind, "open");
    clock.advance(1);
    assert.deepEqual(codeOf(client), ["reconnecting", DisconnectCode.PING_TIMEOUT]);
    assert.ok(entry.isClosed);
    await client.close();
  });

  it("tells in each PING for how long it has had the last answer, and echoes the server's lease", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const entry = await server.login({ pingIntervalMs: 10_000 });
    const pings: unknown[] = [];
    for (const waitMs of [9_000, 9_000, 9_000]) {
      clock.advance(waitMs);
      const { rid, body, lease } = await entry.next(Command.PING);
      pings.push([rid, { ...Ping.decode(body) }, lease.length]);
      clock.advance(50);
      entry.frame(Command.PONG, Pong.encode({}), rid, Flag.REPLY, new Uint8Array(22));
      await turn();
    }
    assert.deepEqual(pings, [
      [1, { answers: 1, heldMs: 9_000 }, 0],
      [2, { answers: 1, heldMs: 9_000 }, 22],
      [3, { answers: 2, heldMs: 9_000 }, 22],
    ]);
    await client.close();
  });

  it("keeps the rhythm for the background there, and pings at once when it is back", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const entry = await server.login({ pingIntervalMs: 10_000, backgroundPingIntervalMs: 100_000 });
    const pings = (): number => entry.frames.filter(({ cmd }) => cmd === Command.PING).length;
    client.setAppState("background");
    clock.advance(80_000);
    await turn();
    assert.equal(pings(), 0);
    clock.advance(10_000);
    const { rid } = await entry.next(Command.PING);
    entry.pong(rid, 0);
    client.setAppState("foreground");
    client.setAppState("foreground");
    const again = await entry.next(Command.PING);
    entry.pong(again.rid, 0);
    clock.advance(9_000);
    await entry.next(Command.PING);
    await client.close();
  });

  it("says on the next login that the connection died unnoticed, as long as the network is the same", async () => {
    let network: Network | undefined = "cellular";
    const { client, server, clock } = setup({ network: () => network });
    client.connect();
    const first = await server.accept();
    const hello = await first.hello();
    assert.deepEqual([hello.network, hello.silentDeathMs], ["cellular", 0]);
    first.welcome({ pingIntervalMs: 10_000 });
    await turn();
    clock.advance(9_000);
    await first.next(Command.PING);
    clock.advance(10_000);
    clock.advance(500);
    const second = await server.accept();
    assert.equal((await second.hello()).silentDeathMs, 9_000);
    network = undefined;
    second.drop();
    clock.advance(2_000);
    const elsewhere = await (await server.accept()).hello();
    assert.deepEqual([elsewhere.network, elsewhere.silentDeathMs], ["", 0]);
    await client.close();
  });

  it("other frames count as life", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const entry = await server.login({ pingIntervalMs: 10_000 });
    clock.advance(9_000);
    await entry.next(Command.PING);
    clock.advance(9_000);
    entry.push(eventAt(1));
    clock.advance(9_999);
    assert.equal(client.state.kind, "open");
    clock.advance(1);
    assert.equal(client.state.kind, "reconnecting");
    await client.close();
  });
});

describe("token", () => {
  it("is fetched once and again when the server says it ran out", async () => {
    let calls = 0;
    const { client, server, clock } = setup({ getToken: () => Promise.resolve(`token-${++calls}`) });
    client.connect();
    const first = await server.accept();
    assert.equal((await first.hello()).token, "token-1");
    first.welcome();
    first.drop();
    clock.advance(500);
    const second = await server.accept();
    assert.equal((await second.hello()).token, "token-1");
    second.error(1, DisconnectCode.TOKEN_EXPIRED);
    clock.advance(1_000);
    const third = await server.accept();
    assert.equal((await third.hello()).token, "token-2");
    third.welcome();
    third.error(0, DisconnectCode.TOKEN_EXPIRED);
    clock.advance(5_000);
    assert.equal((await (await server.accept()).hello()).token, "token-3");
    await client.close();
  });

  it("a failing getToken is reported and tried again; a final one ends it", async () => {
    let fail: unknown = new Error("backend away");
    const getToken = (): string => {
      if (fail !== undefined) throw fail;
      return "token";
    };
    const { client, server, clock } = setup({ getToken });
    const errors: string[] = [];
    client.on("error", ({ codeName }) => errors.push(codeName));
    client.connect();
    await until(() => errors.length === 1);
    fail = undefined;
    clock.advance(1_000);
    await server.login();
    await client.ready();
    await client.close();
    fail = new ImClientError(ErrorCode.UNAUTHENTICATED, "signed out");
    client.connect();
    await assert.rejects(client.ready(), { code: ClientCode.TOKEN_UNAVAILABLE });
  });

  it("a getToken that never answers is given up and its late answer ignored", async () => {
    const answers: ((token: string) => void)[] = [];
    const { client, server, clock } = setup({ getToken: () => new Promise((resolve) => answers.push(resolve)) });
    client.connect();
    await until(() => answers.length === 1);
    clock.advance(15_000);
    await turn();
    clock.advance(500);
    await until(() => answers.length === 2);
    answers[0]?.("late");
    answers[1]?.("good");
    const entry = await server.accept();
    assert.equal((await entry.hello()).token, "good");
    assert.equal(server.connections.length, 1);
    await client.close();
  });
});
