// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { waitWithin } from "../harness/cpu-wait.ts";
import { assertKept, chat, login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

describe("routes after a loss of Redis", () => {
  // Long pings: what arrives in time was pushed, not pulled after a PONG.
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_PING_INTERVAL_MS: "60000" } });

  it("come back by themselves, and deliveries go on", async () => {
    const alice = await login(fleet(), "alice", targetOf(fleet(), "tls", 0));
    const bob = await login(fleet(), "bob", targetOf(fleet(), "wss", 1));
    try {
      await alice.client.send({ to: "bob", content: "before" });
      await waitMessages(bob, 1);
      await fleet().redis.flush();
      const startedMs = performance.now();
      let sent = 1;
      // Messages sent before the routes are back wait for a pull; the first one after it is pushed and shows the gap.
      while (bob.messages.length < 2 && performance.now() - startedMs < 30_000) {
        await alice.client.send({ to: "bob", content: `after ${sent++}` });
        await waitMessages(bob, 2, 250).catch(() => undefined);
      }
      console.log(JSON.stringify({ pushedAgainAfterMs: Math.round(performance.now() - startedMs) }));
      await waitMessages(bob, sent);
      // Until then logic goes by what it remembers.
      const isBack = async (): Promise<boolean> => (await fleet().redis.command("EXISTS r:{alice} r:{bob}")) === ":2";
      await waitWithin("both are announced again", 5000, isBack);
      assert.deepEqual(
        bob.messages.map((message) => message.convSeq),
        Array.from({ length: sent }, (_, i) => i + 1),
      );
    } finally {
      await Promise.all([alice, bob].map(({ client }) => client.close()));
    }
  });
});

describe("loss of Redis", () => {
  // What is sent while nobody has a route waits for the next PING.
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_PING_INTERVAL_MS: "5000" } });

  it("under load: nothing is lost, sends are acknowledged while it is down", async () => {
    const report = await chat(fleet(), {
      pairs: [{ a: targetOf(fleet(), "tls", 0), b: targetOf(fleet(), "wss", 1) }],
      messages: 1200,
      ratePerSecond: 200,
      nemesis: async (run) => {
        await run.reached(0.1);
        run.note("FLUSHALL");
        await fleet().redis.flush();
        await run.reached(0.3);
        run.note("Redis down");
        await fleet().redis.kill9();
        // Holds only when sends are acknowledged without Redis.
        await run.reached(0.6);
        run.note("Redis back, empty");
        await fleet().redis.start();
        await run.reached(0.8);
        run.note("FLUSHALL");
        await fleet().redis.flush();
      },
    });
    assertKept(report);
    assert.equal(report.reconnects, 0, "losing Redis costs no client its connection");
  });

  it("logs users in while it is down", async () => {
    await fleet().redis.kill9();
    try {
      const carol = await login(fleet(), "carol", targetOf(fleet(), "tls", 0));
      await carol.client.send({ to: "dave", content: "no router needed" });
      const dave = await login(fleet(), "dave", targetOf(fleet(), "tls", 1));
      await waitMessages(dave, 1);
      await Promise.all([carol, dave].map(({ client }) => client.close()));
    } finally {
      await fleet().redis.start();
    }
  });
});
