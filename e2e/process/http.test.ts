// SPDX-License-Identifier: Apache-2.0
// Sessions over HTTP on real processes: beside other carriers, with requests at any entry, and when an entry dies.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type FetchLike, httpTransport, nodeFetch } from "../../client/src/node.ts";
import { SERVER_NAME } from "../harness/fleet.ts";
import { waitUntil } from "../harness/processes.ts";
import { assertKept, chat, login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

describe("HTTP between real processes", () => {
  const fleet = useFleet({ entries: 2, logics: 1, internalTls: true });

  it("carries messages both ways, by events and by long poll, to and from TCP and WebSocket", async () => {
    const report = await chat(fleet(), {
      pairs: [
        { a: targetOf(fleet(), "sse", 0), b: targetOf(fleet(), "tls", 1) },
        { a: targetOf(fleet(), "poll", 1), b: targetOf(fleet(), "wss", 0) },
      ],
      messages: 40,
    });
    assertKept(report);
    assert.equal(report.reconnects, 0);
  });

  for (const mode of ["sse", "poll"] as const) {
    it(`holds a session by ${mode} at one entry while every other request comes to another, and outlives a kill -9`, async () => {
      const real = nodeFetch({ ca: fleet().ca, servername: SERVER_NAME });
      const holder = fleet().entry(0);
      const other = fleet().entry(1);
      const opened: string[] = [];
      let isDead = false;
      // As a load balancer that never brings two requests of a session to one entry.
      const spread: FetchLike = (url, init) => {
        const hasLease = new Headers(init.headers).has("im-lease");
        if (!hasLease) opened.push(url);
        const port = hasLease || isDead ? other.tlsPort : holder.tlsPort;
        return real(url.replace(/:\d+\//, `:${port}/`), init);
      };
      const target = targetOf(fleet(), "sse", 0);
      const transport = httpTransport(mode, { fetch: spread });
      const wait = { url: `https://127.0.0.1:${holder.tlsPort}`, transport };
      const alice = await login(fleet(), `alice-${mode}`, target, wait);
      const bob = await login(fleet(), `bob-${mode}`, targetOf(fleet(), "tls", 1));
      try {
        for (let i = 0; i < 10; i++) {
          await alice.client.send({ to: `bob-${mode}`, content: `to bob ${i}` });
          await bob.client.send({ to: `alice-${mode}`, content: `to alice ${i}` });
        }
        await Promise.all([waitMessages(alice, 10), waitMessages(bob, 10)]);
        isDead = true;
        await holder.kill9();
        await bob.client.send({ to: `alice-${mode}`, content: "after" });
        await alice.client.send({ to: `bob-${mode}`, content: "after" });
        await Promise.all([waitMessages(alice, 11, 60_000), waitMessages(bob, 11, 60_000)]);
        assert.deepEqual(
          alice.messages.map(({ text }) => text),
          [...Array.from({ length: 10 }, (_, i) => `to alice ${i}`), "after"],
        );
        assert.ok(opened.length >= 2, "logged in again");
      } finally {
        await Promise.all([alice, bob].map(({ client }) => client.close()));
        await (isDead ? holder.restart() : undefined);
        await waitUntil("the entry is back", async () => (await holder.metric("im_entry_uplinks")) === 1, 60_000);
      }
    });
  }
});
