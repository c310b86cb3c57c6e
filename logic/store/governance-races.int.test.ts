// SPDX-License-Identifier: Apache-2.0
// Deletions while others write, edit and place holds, and while the process that deletes dies.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { newStore } from "../../e2e/harness/database.ts";
import { order } from "./contract/changes.ts";
import { appended, direct, message, readAll, user } from "./contract/fixture.ts";
import type { PostgresStore } from "./postgres-store.ts";

const STEP = { rows: 7, leaseMs: 200, settleMs: 0 };

describe("deletions on PostgreSQL", () => {
  let store: PostgresStore;
  before(async () => {
    ({ store } = await newStore("governance"));
  });
  after(() => store.close());

  /** One worker of several: dies after some steps, without a word. */
  async function work(userId: string, steps: number): Promise<void> {
    const claim = await store.governance.claimErasure(STEP.leaseMs);
    if (claim?.userId !== userId) return;
    let { stage } = claim;
    for (let done = 0; done < steps; done++) {
      const progress = await store.governance.stepErasure({ ...claim, stage }, STEP);
      if (progress.kind !== "more") return;
      stage = progress.stage;
    }
  }

  async function finish(userId: string, steps: number): Promise<void> {
    const endMs = performance.now() + 60_000;
    while ((await store.governance.findErasure(userId))?.state !== "erased") {
      assert.ok(performance.now() < endMs, "it ends");
      await Promise.all([work(userId, steps), work(userId, steps + 1)]);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it("end with every message erased once, whoever dies, while the peer writes on without a gap", async () => {
    const [alice, bob] = [user(), user()];
    for (let n = 0; n < 40; n++)
      await store.append([message({ sender: alice, peer: bob, content: Buffer.from("secret") })]);
    await store.governance.requestErasure(alice, false);
    let isDone = false;
    const writing = (async () => {
      let written = 0;
      for (; !isDone; written++)
        await store.append([message({ sender: bob, peer: alice, content: Buffer.from("mine") })]);
      return written;
    })();
    await finish(alice, 3);
    isDone = true;
    const written = await writing;
    const { events } = await readAll(store, bob);
    assert.deepEqual(
      events.map(({ convSeq }) => convSeq),
      Array.from({ length: 40 + written }, (_, at) => at + 1),
    );
    const own = events.filter(({ sender }) => sender === alice);
    assert.ok(own.every(({ content, contentType }) => content.length === 0 && contentType === "im/recalled"));
    assert.equal(own.length, 40);
    assert.ok(events.every(({ sender, content }) => sender === alice || Buffer.from(content).toString() === "mine"));
    assert.equal((await store.governance.findErasure(alice))?.erasedMessages, 40);
  });

  it("leave no content that an edit wrote at that moment", async () => {
    for (let round = 0; round < 10; round++) {
      const [alice, bob] = [user(), user()];
      const of = appended((await store.append([message({ sender: alice, peer: bob })]))[0]);
      await store.governance.requestErasure(alice, false);
      const edit = store.changes.change(order({ kind: "edit", sender: alice, of, content: Buffer.from("edited") }));
      await Promise.all([edit, finish(alice, 50)]);
      const { events } = await readAll(store, bob);
      const texts = events.map(({ content }) => Buffer.from(content).toString());
      assert.ok(!texts.join().endsWith("edited") || (await edit).kind === "changed", texts.join());
      // Whatever came first, the message itself has no content; its event may have come after the deletion had ended.
      assert.deepEqual([events[0]?.contentType, texts[0]], ["im/recalled", ""]);
    }
  });

  it("never take what a hold kept when it was answered", async () => {
    for (let round = 0; round < 10; round++) {
      const [alice, bob] = [user(), user()];
      for (let n = 0; n < 20; n++)
        await store.append([message({ sender: alice, peer: bob, content: Buffer.from("x") })]);
      await store.governance.requestErasure(alice, false);
      const claim = await store.governance.claimErasure(60_000);
      assert.equal(claim?.userId, alice);
      const thing = { kind: "conversation", id: direct(alice, bob) } as const;
      let keptAtHold = 0;
      const left = async () => (await readAll(store, bob)).events.filter(({ content }) => content.length > 0).length;
      const holding = (async () => {
        await new Promise((resolve) => setTimeout(resolve, round * 2));
        await store.governance.hold({ ...thing, tenant: "", reason: randomUUID() });
        keptAtHold = await left();
      })();
      let { stage } = claim;
      for (;;) {
        const progress = await store.governance.stepErasure({ ...claim, stage }, { ...STEP, rows: 1, leaseMs: 60_000 });
        if (progress.kind !== "more") break;
        stage = progress.stage;
      }
      await holding;
      assert.equal(await left(), keptAtHold);
      await store.governance.release("", thing);
      await finish(alice, 50);
      assert.equal(await left(), 0);
    }
  });
});
