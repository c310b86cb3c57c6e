// SPDX-License-Identifier: Apache-2.0
// Webhooks on a real PostgreSQL, several processes beside each other, and a backend that fails in every way.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { newStore } from "../../e2e/harness/database.ts";
import { appended, message, user } from "../store/contract/fixture.ts";
import { openPostgresStore, type PostgresStore } from "../store/postgres-store.ts";
import { AllowedNetworks } from "../webhook/public-address.ts";
import { type FakeBackend, hookMetrics, hookOf, startBackend, type ToldEvent } from "./hook-kit.ts";
import { HookLines } from "./hook-lines.ts";
import type { Hook } from "./hook-settings.ts";
import { HookWorker } from "./hook-worker.ts";

const LOOPBACK = new AllowedNetworks(["127.0.0.0/8"]);

describe("webhooks on PostgreSQL", () => {
  let store: PostgresStore;
  let url = "";
  before(async () => {
    ({ store, url } = await newStore("hooks"));
    store.hooks.wantMessages(true);
  });
  after(() => store.close());

  /** A process that tells webhooks: it has its own connections, so that it can be killed. */
  async function startWorker(hook: Hook, allowed = LOOPBACK) {
    const own = await openPostgresStore({ url, connections: 2, appendConnections: 1, startTimeoutMs: 5000 });
    const lines = new HookLines({ allowed, clock: systemClock, random: Math.random });
    lines.set([hook]);
    const worker = new HookWorker({
      ...{ store: own.hooks, lines: () => lines.current(), onAnswer: async () => undefined },
      ...{ clock: systemClock, random: Math.random, onFault: () => undefined, metrics: hookMetrics(), pollMs: 20 },
    });
    worker.start();
    let isOver = false;
    const end = async (how: () => Promise<unknown>): Promise<void> => {
      if (isOver) return;
      isOver = true;
      await how();
      lines.close();
    };
    return {
      stop: () => end(() => worker.stop().then(() => own.close())),
      /** As a kill: it says nothing to the database any more, and its leases stay. */
      kill: () => end(() => own.close().then(() => worker.stop())),
    };
  }

  async function registered(backend: FakeBackend, fields: Partial<Hook> = {}): Promise<Hook> {
    while ((await store.hooks.collect(200)) > 0);
    const hook = hookOf({ url: backend.url, ...fields });
    await store.hooks.register([hook.name]);
    return hook;
  }

  async function send(conversations: number, each: number): Promise<Map<string, number>> {
    const seqs = new Map<string, number>();
    const pairs = Array.from({ length: conversations }, () => [user(), user()] as const);
    await Promise.all(
      Array.from({ length: each }, async (_, at) => {
        const batch = pairs.map(([alice, bob]) => message({ sender: alice, peer: bob, clientMessageId: `m-${at}` }));
        for (const result of await store.append(batch)) {
          const { messageId, convSeq } = appended(result);
          seqs.set(messageId, convSeq);
        }
      }),
    );
    return seqs;
  }

  const distinct = (taken: readonly ToldEvent[]) => new Set(taken.map(({ id }) => id));

  async function until(what: string, isSo: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const endMs = Date.now() + timeoutMs;
    while (!(await isSo())) {
      assert.ok(Date.now() < endMs, `${what} within ${timeoutMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The first time that each event was taken, in the order of its conversation. */
  function assertInOrder(taken: readonly ToldEvent[]): void {
    const highest = new Map<unknown, number>();
    const seen = new Set<string>();
    for (const { id, data } of taken) {
      if (seen.has(id)) continue;
      seen.add(id);
      const seq = Number(data.conversationSeq);
      assert.equal(seq, (highest.get(data.conversationId) ?? 0) + 1, `${data.conversationId}`);
      highest.set(data.conversationId, seq);
    }
  }

  it("are told everything once and in order by two processes, while messages are being stored", async () => {
    const backend = await startBackend();
    const hook = await registered(backend);
    const workers = [await startWorker(hook), await startWorker(hook)];
    const sent = await send(10, 40);
    await until("all told", () => backend.taken.length >= sent.size);
    await until("all settled", async () => (await store.hooks.backlog([hook.name])).hooks[0]?.oldestMs === 0);
    for (const worker of workers) await worker.stop();
    assert.equal(backend.taken.length, sent.size, "none twice");
    assert.deepEqual([distinct(backend.taken).size, backend.badSignatures], [sent.size, 0]);
    for (const { id, data } of backend.taken) assert.equal(data.conversationSeq, sent.get(id));
    assertInOrder(backend.taken);
    await backend.close();
  });

  it("lose nothing when the process is killed in the middle, and another one takes over", async () => {
    const backend = await startBackend();
    const hook = await registered(backend, { timeoutMs: 300, batchEvents: 5 });
    const first = await startWorker(hook);
    const sent = await send(8, 20);
    await until("some told", () => backend.taken.length > 20);
    // What it says now is not heard any more.
    backend.mood = () => "hang";
    await first.kill();
    backend.mood = () => ({ status: 200 });
    const second = await startWorker(hook);
    await until("all told", () => distinct(backend.taken).size === sent.size, 60_000);
    await second.stop();
    assertInOrder(backend.taken);
    await backend.close();
  });

  it("come late, but all, to a backend that fails, hangs, drops connections and recovers", async () => {
    const backend = await startBackend();
    const hook = await registered(backend, { timeoutMs: 300, tries: 50 });
    const worker = await startWorker(hook);
    const moods = [{ status: 500 }, "hang", "drop", { status: 429 }, { status: 302 }] as const;
    backend.mood = () => moods[backend.calls % moods.length] ?? "drop";
    const sent = await send(4, 10);
    await until("some calls", () => backend.calls >= 8);
    assert.equal(backend.taken.length, 0);
    backend.mood = () => ({ status: 200 });
    await until("all told", () => distinct(backend.taken).size === sent.size, 60_000);
    await worker.stop();
    assert.equal(backend.taken.length, sent.size);
    assertInOrder(backend.taken);
    assert.deepEqual(await store.hooks.listDead({ hook: hook.name, after: 0, limit: 1 }), []);
    await backend.close();
  });

  it("go to no private address, and their events are dead then and can be replayed", async () => {
    const backend = await startBackend();
    const hook = await registered(backend, { tries: 1 });
    const refused = await startWorker(hook, new AllowedNetworks([]));
    const sent = await send(1, 3);
    await until("dead", async () => (await store.hooks.backlog([hook.name])).hooks[0]?.dead === sent.size);
    await refused.stop();
    const dead = await store.hooks.listDead({ hook: hook.name, after: 0, limit: 10 });
    assert.ok(dead.every(({ reason }) => reason === "the webhook leads to a private address"));
    assert.equal(backend.calls, 0);
    const worker = await startWorker(hook);
    assert.equal(await store.hooks.replayDead({ hook: hook.name, limit: 10 }), sent.size);
    await until("replayed", () => backend.taken.length === sent.size);
    assert.ok(await store.hooks.rewind(hook.name, { timeMs: Date.now() - 3_600_000 }));
    await until("told again", () => distinct(backend.taken).size >= sent.size && backend.taken.length > 2 * sent.size);
    await worker.stop();
    await backend.close();
  });

  it("cost a message nothing where none is wanted", async () => {
    store.hooks.wantMessages(false);
    const before = await store.hooks.backlog([]);
    await send(2, 5);
    assert.equal(await store.hooks.collect(10), 0);
    assert.equal((await store.hooks.backlog([])).lastPosition, before.lastPosition);
    store.hooks.wantMessages(true);
  });
});
