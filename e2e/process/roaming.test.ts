// SPDX-License-Identifier: Apache-2.0
// Devices that come late, come back after long, or come back to a database that was restored.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import type { Message, SnapshotNotice } from "#client";
import { directConversationId } from "../../logic/send/conversation.ts";
import { openPostgresStore } from "../../logic/store/postgres-store.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { copyFolder } from "../harness/postgres-files.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, type User, useFleet, waitMessages } from "./fleet-suite.ts";

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);
const seqs = (messages: readonly Message[]): number[] => messages.map((message) => message.convSeq);

/** Stores `count` messages from each sender to `to`, one after the other. */
async function fill(url: string, to: string, senders: readonly string[], count: number): Promise<void> {
  const store = await openPostgresStore({ url });
  for (let at = 0; at < count; at += 250) {
    const numbers = range(at, Math.min(count, at + 250) - 1);
    const batch = numbers.flatMap((number) =>
      senders.map((sender) => ({
        sender,
        peer: to,
        clientMessageId: randomUUID(),
        payloadHash: createHash("sha256").update(`${number}`).digest(),
        conversationId: directConversationId(sender, to),
        messageId: randomUUID(),
        contentType: "text/plain",
        content: Buffer.from(`${sender} ${number + 1}`),
        sentAtMs: Date.now(),
      })),
    );
    for (let from = 0; from < batch.length; from += 500) await store.append(batch.slice(from, from + 500));
  }
  await store.close();
}

describe("roaming", () => {
  const fleet = useFleet({ entries: 2, logics: 2 });

  it("gives a second device the whole history, in order, while the first one goes on", async () => {
    const [alice, phone] = [
      await login(fleet(), "alice", targetOf(fleet(), "tls", 0), { conversationWindow: 64 }),
      await login(fleet(), "bob", targetOf(fleet(), "tls", 1)),
    ];
    await Promise.all(range(1, 300).map((n) => alice.client.send({ to: "bob", content: `${n}`, id: `m-${n}` })));
    await waitMessages(phone, 300);
    const web = await login(fleet(), "bob", targetOf(fleet(), "wss", 0), { deviceId: "browser", platform: "web" });
    await waitMessages(web, 300);
    await alice.client.send({ to: "bob", content: "301" });
    await Promise.all([waitMessages(phone, 301), waitMessages(web, 301)]);
    for (const device of [phone, web]) assert.deepEqual(seqs(device.messages), range(1, 301));
    assert.equal(phone.client.state.kind, "open");
  });

  it("gives a device that was away too long its conversations, and their messages when they are opened", async () => {
    const senders = ["dora", "emil", "fritz"];
    await fill(fleet().postgresUrl, "carol", senders, 1000);
    const pages: SnapshotNotice[] = [];
    const carol = await login(fleet(), "carol", targetOf(fleet(), "tls", 0), { snapshot: true });
    carol.client.on("snapshot", (page) => pages.push(page));
    // It may have come with the login.
    const again = await login(fleet(), "carol", targetOf(fleet(), "tls", 1), { deviceId: "web", platform: "web" });
    await waitMessages(again, 3000, 60_000);
    assert.equal(carol.messages.length, 0);
    for (const sender of senders) {
      const conversationId = directConversationId(sender, "carol");
      const read: number[] = [];
      for (let before = 0, more = true; more; ) {
        const page = await carol.client.history(conversationId, { before, limit: 300 });
        assert.deepEqual([page.firstSeq, page.lastSeq], [1, 1000]);
        read.unshift(...seqs(page.messages));
        ({ more } = page);
        before = page.messages[0]?.convSeq ?? 0;
      }
      assert.deepEqual(read, range(1, 1000), "each once, in order");
      const shown = again.messages.filter((message) => message.conversationId === conversationId);
      assert.deepEqual(seqs(shown), range(1, 1000), "page by page without the option");
    }
    const dora = await login(fleet(), "dora", targetOf(fleet(), "tls", 0), { snapshot: true });
    await dora.client.send({ to: "carol", content: "are you back?" });
    await waitMessages(carol, 1);
    assert.deepEqual(seqs(carol.messages), [1001]);
    const listed: SnapshotNotice[] = [];
    const tablet = await loginListening("carol", "tablet", listed);
    await waitUntil("the snapshot is complete", () => listed.at(-1)?.isLast === true);
    assert.deepEqual(
      listed.flatMap((page) => page.conversations.map(({ conversationId, lastSeq }) => [conversationId, lastSeq])),
      [
        [directConversationId("dora", "carol"), 1001],
        [directConversationId("fritz", "carol"), 1000],
        [directConversationId("emil", "carol"), 1000],
      ],
    );
    assert.equal(listed[0]?.conversations[0]?.lastMessage?.text, "are you back?");
    assert.equal(tablet.messages.length, 0);
  });

  /** A device whose snapshot events are heard from the first one. */
  async function loginListening(uid: string, deviceId: string, pages: SnapshotNotice[]): Promise<User> {
    const options = { deviceId, platform: "desktop", snapshot: true } as const;
    return login(fleet(), uid, targetOf(fleet(), "wss", 1), options, (client) => {
      client.on("snapshot", (page) => pages.push(page));
    });
  }
});

describe("a restored database", () => {
  let postgres: PostgresServer;
  let backup: string;
  before(async () => {
    backup = mkdtempSync(join(tmpdir(), "imcluster-backup-"));
    postgres = await startPostgres();
  });
  after(async () => {
    await postgres.stop();
    rmSync(backup, { recursive: true, force: true });
  });

  describe("of an older state", () => {
    const fleet = useFleet({
      entries: 1,
      logics: 1,
      get postgres() {
        return postgres;
      },
    });

    it("begins anew for clients that are ahead of it: nothing is shown twice, everything new is shown", async () => {
      const alice = await login(fleet(), "alice", targetOf(fleet(), "tcp", 0));
      const bob = await login(fleet(), "bob", targetOf(fleet(), "tcp", 0));
      const resets: string[] = [];
      bob.client.on("reset", ({ epoch }) => resets.push(epoch));
      const say = async (...texts: string[]): Promise<void> => {
        for (const content of texts) await alice.client.send({ to: "bob", content });
      };
      await say("one", "two", "three");
      await waitMessages(bob, 3);
      await postgres.stopServer();
      await copyFolder(postgres.dir, backup);
      await postgres.start();
      await say("four", "five", "six");
      await waitMessages(bob, 6);

      await postgres.stopServer();
      for (const name of readdirSync(postgres.dir)) rmSync(join(postgres.dir, name), { recursive: true });
      await copyFolder(backup, postgres.dir);
      await postgres.start();
      const admin = new pg.Client({ connectionString: fleet().postgresUrl });
      await admin.connect();
      const { rows } = await admin.query("UPDATE store_meta SET inbox_epoch = gen_random_uuid() RETURNING inbox_epoch");
      await admin.end();

      await waitUntil("bob's inbox began anew", () => resets.includes(rows[0].inbox_epoch), 30_000);
      await bob.client.ready();
      await alice.client.ready();
      await say("new four");
      await waitMessages(bob, 7);
      assert.deepEqual(
        bob.messages.map((message) => message.text),
        ["one", "two", "three", "four", "five", "six", "new four"],
      );
      assert.deepEqual(seqs(bob.messages), [1, 2, 3, 4, 5, 6, 4]);
      const tablet = await login(fleet(), "bob", targetOf(fleet(), "tcp", 0), { deviceId: "t", platform: "desktop" });
      await waitMessages(tablet, 4);
      assert.deepEqual(
        tablet.messages.map((message) => message.text),
        ["one", "two", "three", "new four"],
      );
    });
  });
});
