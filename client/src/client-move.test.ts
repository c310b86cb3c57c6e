// SPDX-License-Identifier: Apache-2.0
// Endings and moves of the client against a scripted entry.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventAt, setup, turn, until } from "../test/fake-server.ts";
import type { ImClient } from "./client.ts";
import { DisconnectCode, ErrorCode } from "./codes.ts";
import { ImClientError } from "./errors.ts";
import type { Transport } from "./transport/transport.ts";

const codeOf = ({ state }: ImClient): unknown[] => [state.kind, "code" in state && state.code];

describe("terminal codes", () => {
  it("KICK closes for good, names the other device, rejects sends and loops", async () => {
    const { client, server, clock } = setup();
    const kicks: unknown[] = [];
    client.on("kicked", (notice) => kicks.push(notice));
    client.connect();
    const entry = await server.login();
    await client.ready();
    const next = client.messages().next();
    const sending = client.send({ to: "bob", content: "x" });
    const outcomes = Promise.allSettled([next, sending]);
    entry.kick(DisconnectCode.KICKED, "iPhone of Alice");
    for (const outcome of await outcomes) {
      assert.ok(outcome.status === "rejected" && outcome.reason instanceof ImClientError);
      assert.equal(outcome.reason.code, DisconnectCode.KICKED);
    }
    assert.deepEqual(kicks, [{ code: 4520, reason: "KICKED", byDevice: "iPhone of Alice" }]);
    assert.ok(client.state.kind === "closed" && client.state.byDevice === "iPhone of Alice");
    clock.advance(120_000);
    await turn();
    assert.deepEqual([server.connections.length, clock.pending], [1, 0]);
    client.connect();
    await server.login();
    await client.ready();
    await client.close();
  });

  it("SUPERSEDED without a move of its own is terminal too", async () => {
    const { client, server } = setup();
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.kick(DisconnectCode.SUPERSEDED);
    assert.ok(client.state.kind === "closed" && client.state.code === DisconnectCode.SUPERSEDED);
  });

  it("SUPERSEDED by a login it had given up on itself is not: once", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const slow = await server.accept();
    await slow.hello();
    clock.advance(10_000 + 500);
    const entry = await server.login();
    await client.ready();
    entry.kick(DisconnectCode.SUPERSEDED);
    assert.equal(client.state.kind, "reconnecting");
    clock.advance(2_000);
    const again = await server.login();
    await client.ready();
    again.kick(DisconnectCode.SUPERSEDED);
    assert.deepEqual(codeOf(client), ["closed", DisconnectCode.SUPERSEDED]);
  });

  it("nor is SUPERSEDED by a move that was interrupted: the server may have carried it out before it was lost", async () => {
    const { LOGIC_UNAVAILABLE, LOGIN_TIMEOUT } = DisconnectCode;
    for (const code of [LOGIC_UNAVAILABLE, LOGIN_TIMEOUT, ErrorCode.RETRYABLE, ErrorCode.INTERNAL]) {
      const { client, server, clock } = setup();
      client.connect();
      const old = await server.login();
      await client.ready();
      old.goaway(0, 0);
      clock.advance(1);
      const move = await server.accept();
      await move.hello();
      move.error(1, code, { retryable: true });
      assert.equal(client.state.kind, "open", "the old connection serves on");
      old.kick(DisconnectCode.SUPERSEDED);
      assert.equal(client.state.kind, "reconnecting", `${code}`);
      clock.advance(2_000);
      await server.login();
      await client.ready();
      await client.close();
    }
  });

  it("a login that was refused leaves no such excuse, nor does one from long ago", async () => {
    for (const wait of ["refused", "long ago"]) {
      const { client, server, clock } = setup();
      client.connect();
      const first = await server.accept();
      await first.hello();
      if (wait === "refused") first.error(1, DisconnectCode.OVERLOADED);
      else first.drop();
      clock.advance(500);
      const entry = await server.login();
      await client.ready();
      clock.advance(wait === "refused" ? 0 : 60_000);
      entry.kick(DisconnectCode.SUPERSEDED);
      assert.equal(client.state.kind, "closed", wait);
    }
  });

  it("the range of the code decides, in ERROR or as close code alone", async () => {
    for (const code of [DisconnectCode.TOKEN_INVALID, DisconnectCode.TOKEN_REVOKED, DisconnectCode.PROTOCOL_ERROR]) {
      for (const how of ["error", "close", "login"] as const) {
        const { client, server } = setup();
        client.connect();
        const entry = await server.accept();
        await entry.hello();
        if (how !== "login") entry.welcome();
        if (how === "close") entry.drop(code, "bye");
        else entry.error(how === "login" ? 1 : 0, code);
        assert.ok(client.state.kind === "closed" && client.state.code === code, `${how} ${code}`);
      }
    }
  });

  it("a refused login below 4000 retries when the server says so, and ends otherwise", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const busy = await server.accept();
    await busy.hello();
    busy.error(1, ErrorCode.BUSY, { retryable: true, retryAfterMs: 1_000 });
    assert.deepEqual(codeOf(client), ["connecting", ErrorCode.BUSY]);
    clock.advance(1_500);
    const refused = await server.accept();
    await refused.hello();
    refused.error(1, ErrorCode.BAD_REQUEST);
    assert.deepEqual(codeOf(client), ["closed", ErrorCode.BAD_REQUEST]);
  });
});

describe("GOAWAY", () => {
  it("opens the new connection first, then closes the old; nothing is lost, twice or out of order", async () => {
    const { client, server, clock, shown, states } = setup();
    const moves: number[] = [];
    client.on("goaway", ({ delayMs }) => moves.push(delayMs));
    client.connect();
    const old = await server.login();
    await client.ready();
    const sending = client.send({ to: "bob", content: "x", id: "k1" });
    await old.nextSend();
    old.goaway(1_000, 3_000);
    old.goaway(1_000, 3_000);
    clock.advance(1_999);
    await turn();
    assert.equal(server.connections.length, 1);
    clock.advance(1);
    const next = await server.accept();
    await next.hello();
    old.push(eventAt(1));
    assert.ok(!old.isClosed);
    next.welcome({ entryId: "entry-b", inboxHead: 1 });
    assert.ok(old.isClosed);
    next.push(eventAt(1), eventAt(2));
    next.ack(await next.nextSend(), { inboxSeq: 3 });
    assert.equal((await sending).id, "k1");
    assert.deepEqual([shown, moves, states], [["text 1", "text 2"], [2_000], ["connecting", "open", "open"]]);
    assert.ok(client.state.kind === "open" && client.state.entryId === "entry-b");
    assert.deepEqual([client.stats.reconnects, client.stats.logins], [0, 2]);
    await client.close();
    assert.equal(clock.pending, 0);
  });

  it("tells a transport that wants to know which addresses were named, before it dials", async () => {
    const preferred: string[][] = [];
    const { client, server, clock } = setup({
      transport: Object.assign((...args: Parameters<Transport>) => server.transport(...args), {
        prefer: (addresses: readonly string[]) => void preferred.push([...addresses]),
      }),
    });
    client.connect();
    const old = await server.login();
    await client.ready();
    old.goaway(1_000, 1_000, ["a.example.com:443", "b.example.com:443"]);
    old.goaway(1_000, 1_000, ["c.example.com:443"]);
    assert.deepEqual([preferred, server.connections.length], [[["a.example.com:443", "b.example.com:443"]], 1]);
    clock.advance(1_000);
    (await server.login()).goaway(0, 0);
    assert.deepEqual(preferred.at(-1), []);
    await client.close();
  });

  it("what the old connection brings during the login may be ahead of WELCOME's head: that is no other inbox", async () => {
    const { client, server, clock, shown } = setup();
    client.on("reset", () => shown.push("reset"));
    client.connect();
    const old = await server.login({ inboxHead: 1 });
    await client.ready();
    old.push(eventAt(1));
    const sending = client.send({ to: "bob", content: "x" });
    const sent = await old.nextSend();
    old.goaway(0, 0);
    clock.advance(0);
    const next = await server.accept();
    assert.equal((await next.hello()).inboxCursor, 1);
    old.push(eventAt(2));
    old.ack(sent, { inboxSeq: 3 });
    next.welcome({ inboxHead: 1 });
    await sending;
    next.push(eventAt(4));
    assert.deepEqual(shown, ["text 1", "text 2", "text 4"]);
    await client.close();
  });

  it("the login of the new connection may replace the old one before WELCOME arrives", async () => {
    const { client, server, clock, states } = setup();
    client.connect();
    const old = await server.login();
    await client.ready();
    old.goaway(0, 0);
    clock.advance(0);
    const next = await server.accept();
    await next.hello();
    old.kick(DisconnectCode.SUPERSEDED);
    const sending = client.send({ to: "bob", content: "x" });
    assert.equal(client.state.kind, "open");
    next.welcome();
    next.ack(await next.nextSend());
    await sending;
    assert.deepEqual(states, ["connecting", "open", "open"]);
    await client.close();
  });

  it("replaced by its own move, which then fails: reconnects", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const old = await server.login();
    await client.ready();
    old.goaway(0, 0);
    clock.advance(0);
    const next = await server.accept();
    await next.hello();
    old.kick(DisconnectCode.SUPERSEDED);
    next.drop();
    assert.equal(client.state.kind, "reconnecting");
    clock.advance(500);
    await server.login();
    await client.ready();
    await client.close();
  });

  it("when the move fails the old connection serves on, and the move is tried again", async () => {
    const { client, server, clock, states } = setup();
    client.connect();
    const old = await server.login();
    await client.ready();
    server.isDown = true;
    old.goaway(0, 0);
    clock.advance(0);
    await turn();
    old.push(eventAt(1));
    server.isDown = false;
    clock.advance(500);
    await server.login({ entryId: "entry-b", inboxHead: 1 });
    assert.ok(old.isClosed);
    assert.deepEqual(states, ["connecting", "open", "open"]);
    await client.close();
  });

  it("when the old connection breaks first it is an ordinary reconnect", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const old = await server.login();
    await client.ready();
    old.goaway(60_000, 60_000);
    old.drop();
    clock.advance(250);
    await server.login();
    await client.ready();
    clock.advance(120_000);
    await turn();
    assert.equal(server.connections.length, 2);
    await client.close();
  });

  it("breaks while the move waits for a token: one connection comes of it, not two", async () => {
    const tokens: ((token: string) => void)[] = [];
    const { client, server, clock } = setup({ getToken: () => new Promise((resolve) => tokens.push(resolve)) });
    client.connect();
    await until(() => tokens.length === 1);
    tokens[0]?.("first");
    const old = await server.login();
    await client.ready();
    old.goaway(0, 0);
    clock.advance(0);
    const refused = await server.accept();
    await refused.hello();
    refused.error(1, DisconnectCode.TOKEN_EXPIRED);
    clock.advance(500);
    await until(() => tokens.length === 2);
    old.drop();
    tokens[1]?.("late");
    await turn();
    assert.equal(server.open.length, 0);
    clock.advance(1_000);
    await until(() => tokens.length === 3);
    tokens[2]?.("fresh");
    await server.login();
    await client.ready();
    clock.advance(5_000);
    await turn();
    assert.equal(server.open.length, 1);
    await client.close();
  });

  it("is not delayed beyond reason", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const old = await server.login();
    await client.ready();
    old.goaway(4_000_000_000, 4_294_967_295);
    clock.advance(600_000);
    await server.login();
    assert.ok(old.isClosed);
    await client.close();
  });
});
