// SPDX-License-Identifier: Apache-2.0
// Starts, ends and starts again, faster than the store, the token or the network answer.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventAt, setup, turn } from "../test/fake-server.ts";
import { ClientCode, Command, DisconnectCode } from "./codes.ts";
import type { PendingMessage, Store, StoredCursor } from "./store.ts";

type Answer = (cursor?: StoredCursor) => void;

/** A store whose loads wait for the test. */
function slowStore() {
  const loads: { resolve: Answer; reject: (error: Error) => void }[] = [];
  const store: Store = {
    load: () => new Promise((resolve, reject) => loads.push({ resolve, reject })),
    save: () => undefined,
  };
  return { store, loads };
}

describe("start and end", () => {
  it("connect, close and connect again while the store loads make one connection", async () => {
    const { store, loads } = slowStore();
    const { client, server, clock } = setup({ store });
    client.connect();
    const closing = client.close();
    client.connect();
    await turn();
    // The first load is answered when nobody wants it any more.
    loads[0]?.resolve();
    await turn();
    await turn();
    loads[1]?.resolve();
    await server.login();
    await client.ready();
    await turn();
    assert.equal(server.connections.length, 1);
    assert.equal(client.stats.logins, 1);
    await closing;
    await client.close();
    assert.equal(server.open.length, 0);
    assert.equal(clock.pending, 0);
  });

  it("a store that fails after close() changes nothing", async () => {
    const { store, loads } = slowStore();
    const { client } = setup({ store });
    const states: string[] = [];
    client.on("state", (state) => states.push(`${state.kind} ${"code" in state ? state.code : ""}`));
    client.connect();
    await client.close();
    loads[0]?.reject(new Error("gone"));
    await turn();
    assert.deepEqual(states, ["connecting 0", `closed ${ClientCode.CLOSED}`]);
  });

  it("a listener that closes the client while it sends leaves no timer behind", async () => {
    let isBroken = false;
    const store: Store = {
      load: () => undefined,
      save() {
        if (isBroken) throw new Error("full");
      },
    };
    const { client, server, clock } = setup({ store });
    client.on("error", () => void client.close());
    client.connect();
    const entry = await server.login({ inboxHead: 0 });
    await client.ready();
    isBroken = true;
    entry.push(eventAt(1));
    await assert.rejects(client.send({ to: "bob", content: "hi" }), { code: ClientCode.CLOSED });
    await client.close();
    assert.equal(clock.pending, 0);
  });
});

describe("logout", () => {
  it("is told again on the next connection when the first one broke before the answer", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const first = await server.login();
    await client.ready();
    const leaving = client.logout();
    await first.next(Command.LOGOUT);
    first.drop();
    clock.advance(500);
    const second = await server.login();
    await second.next(Command.LOGOUT);
    second.kick(DisconnectCode.LOGGED_OUT);
    assert.equal(await leaving, true);
    assert.equal(clock.pending, 0);
  });
});

describe("what is given to send()", () => {
  it("may be changed by the application afterwards", async () => {
    const saved: PendingMessage[] = [];
    const store: Store = {
      load: () => undefined,
      save: () => undefined,
      loadOutbox: () => [],
      saveOutbox: ({ add }) => void saved.push(...add),
    };
    const { client } = setup({ store });
    const content = new Uint8Array([1, 2, 3]);
    client.send({ to: "bob", content }).catch(() => undefined);
    content.fill(9);
    assert.deepEqual([...(client.pending()[0]?.content ?? [])], [1, 2, 3]);
    await client.saved();
    assert.deepEqual([...(saved[0]?.content ?? [])], [1, 2, 3]);
    await client.close();
  });

  it("keeps no larger buffer alive", async () => {
    const { client } = setup();
    const large = new Uint8Array(1024 * 1024);
    client.send({ to: "bob", content: large.subarray(10, 13) }).catch(() => undefined);
    assert.equal(client.pending()[0]?.content.buffer.byteLength, 3);
    await client.close();
  });
});
