// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#client";
import { waitUntil } from "../harness/processes.ts";
import { assertKept, chat, login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

describe("messages between real processes", () => {
  const fleet = useFleet({ entries: 2, logics: 2, internalTls: true });

  it("go both ways over TLS-TCP and WebSocket across two entries", async () => {
    const report = await chat(fleet(), {
      pairs: [
        { a: targetOf(fleet(), "tls", 0), b: targetOf(fleet(), "wss", 1) },
        { a: targetOf(fleet(), "wss", 0), b: targetOf(fleet(), "tcp", 1) },
      ],
      messages: 400,
    });
    assertKept(report);
    assert.equal(report.reconnects, 0);
  });

  it("wait for who is away: 2,000 of them come in order", async () => {
    const count = 2000;
    const alice = await login(fleet(), "alice2", targetOf(fleet(), "tls", 0), { conversationWindow: 64 });
    for (let i = 0; i < count; i += 500) {
      const ids = Array.from({ length: 500 }, (_, n) => i + n);
      await Promise.all(ids.map((n) => alice.client.send({ to: "bob2", content: `offline ${n}`, id: `o-${n}` })));
    }
    await alice.client.close();
    const startedMs = performance.now();
    const bob = await login(fleet(), "bob2", targetOf(fleet(), "wss", 1));
    try {
      await waitMessages(bob, count);
      console.log(
        JSON.stringify({ offlinePullMs: Math.round(performance.now() - startedMs), pulls: bob.client.stats.pulls }),
      );
      assert.deepEqual(
        bob.messages.map((message) => message.convSeq),
        Array.from({ length: count }, (_, i) => i + 1),
      );
      assert.equal(new Set(bob.messages.map((message) => message.clientMessageId)).size, count);
    } finally {
      await bob.client.close();
    }
  });

  it("end on the old phone when the user logs in on a new one, and only there", async () => {
    const kicks: { code: number; byDevice: string }[] = [];
    const target = (entry: number) => targetOf(fleet(), "tls", entry);
    const browser = await login(fleet(), "carol", target(0), { deviceId: "browser", platform: "web" });
    const old = await login(fleet(), "carol", target(0), { deviceId: "old", deviceName: "old phone", platform: "ios" });
    old.client.on("kicked", (notice) => kicks.push(notice));
    const fresh = await login(fleet(), "carol", target(1), { deviceId: "new", deviceName: "Carol's new phone" });
    try {
      await waitUntil("the old phone is closed", () => old.client.state.kind === "closed");
      assert.equal(kicks.length, 1);
      assert.equal(kicks[0]?.code, DisconnectCode.KICKED);
      assert.equal(kicks[0]?.byDevice, "Carol's new phone");
      assert.equal(fresh.client.state.kind, "open");
      assert.equal(browser.client.state.kind, "open");
      const dave = await login(fleet(), "dave", target(0));
      await dave.client.send({ to: "carol", content: "who is there?" });
      await Promise.all([waitMessages(fresh, 1), waitMessages(browser, 1)]);
      assert.equal(old.messages.length, 0);
      await dave.client.close();
    } finally {
      await Promise.all([browser, old, fresh].map(({ client }) => client.close()));
    }
  });

  it("end on the older connection when one device logs in twice", async () => {
    const target = targetOf(fleet(), "wss", 0);
    const first = await login(fleet(), "erin", target, { deviceId: "phone" });
    const second = await login(fleet(), "erin", targetOf(fleet(), "tls", 1), { deviceId: "phone" });
    try {
      await waitUntil("the older connection is closed", () => first.client.state.kind === "closed");
      assert.ok(first.client.state.kind === "closed" && first.client.state.code === DisconnectCode.SUPERSEDED);
      assert.equal(second.client.state.kind, "open");
    } finally {
      await Promise.all([first, second].map(({ client }) => client.close()));
    }
  });

  it("sent again with the same id are stored once", async () => {
    const alice = await login(fleet(), "alice3", targetOf(fleet(), "tls", 0));
    const bob = await login(fleet(), "bob3", targetOf(fleet(), "tls", 1));
    try {
      const first = await alice.client.send({ to: "bob3", content: "once", id: "same" });
      const again = await alice.client.send({ to: "bob3", content: "once", id: "same" });
      assert.equal(again.duplicate, true);
      assert.deepEqual([again.messageId, again.convSeq], [first.messageId, first.convSeq]);
      await assert.rejects(alice.client.send({ to: "bob3", content: "other", id: "same" }), {
        codeName: "CONFLICT",
        messageId: first.messageId,
      });
      await alice.client.send({ to: "bob3", content: "next" });
      await waitMessages(bob, 2);
      assert.deepEqual(
        bob.messages.map((message) => message.text),
        ["once", "next"],
      );
    } finally {
      await Promise.all([alice, bob].map(({ client }) => client.close()));
    }
  });
});
