// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../lib/clock.ts";
import { Journal } from "./journal.ts";
import { MemoryStore, type OutboxChange, type PendingMessage, type Store } from "./store.ts";

const messageOf = (id: string): PendingMessage => ({
  id,
  userId: "alice",
  to: "bob",
  conversationId: "",
  contentType: "",
  content: new Uint8Array([1]),
});

/** A store whose writes the test ends. */
function setup(found: PendingMessage[] = []) {
  const changes: { add: string[]; remove: string[] }[] = [];
  const errors: unknown[] = [];
  let end: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const clock = new FakeClock();
  const store: Store = {
    load: () => undefined,
    save: () => undefined,
    loadOutbox: () => found,
    saveOutbox({ add, remove }: OutboxChange): Promise<void> {
      assert.equal(end, undefined, "writes overlap");
      changes.push({ add: add.map(({ id }) => id), remove: [...remove] });
      return new Promise((resolve, reject) => {
        end = { resolve, reject };
      });
    },
  };
  const journal = new Journal({ clock, store, onError: (error) => errors.push(error) });
  const settle = async (error?: Error): Promise<void> => {
    await turns();
    const write = end;
    end = undefined;
    assert.ok(write, "nothing is written");
    if (error) write.reject(error);
    else write.resolve();
    await turns();
  };
  return { journal, clock, changes, errors, settle };
}

async function turns(): Promise<void> {
  for (let n = 0; n < 10; n++) await Promise.resolve();
}

describe("journal", () => {
  it("writes what is given in one turn together, in order, one change at a time", async () => {
    const { journal, changes, settle } = setup();
    for (const id of ["a", "b"]) journal.add(messageOf(id));
    await turns();
    journal.add(messageOf("c"));
    journal.remove("a");
    await settle();
    await settle();
    assert.deepEqual(changes, [
      { add: ["a", "b"], remove: [] },
      { add: ["c"], remove: ["a"] },
    ]);
    assert.deepEqual(
      journal.pending.map(({ id }) => id),
      ["b", "c"],
    );
  });

  it("never writes a message that is answered before its turn", async () => {
    const { journal, changes, settle } = setup();
    journal.add(messageOf("a"));
    await turns();
    journal.add(messageOf("b"));
    journal.remove("b");
    await settle();
    await journal.flush();
    assert.deepEqual(changes, [{ add: ["a"], remove: [] }]);
  });

  it("tries again after a failure, with whatever has changed", async () => {
    const { journal, clock, changes, errors, settle } = setup();
    journal.add(messageOf("a"));
    journal.add(messageOf("b"));
    await turns();
    journal.remove("a");
    await settle(new Error("the disk is full"));
    assert.equal(errors.length, 1);
    journal.add(messageOf("c"));
    clock.advance(999);
    await turns();
    assert.equal(changes.length, 1);
    clock.advance(1);
    await settle();
    // The failed attempt may have reached the disk: a is taken away for sure.
    assert.deepEqual(changes[1], { add: ["b", "c"], remove: ["a"] });
    assert.equal(clock.pending, 0);
  });

  it("a message that is given up and sent again while something is written is kept until it is answered", async () => {
    const { journal, changes, settle } = setup();
    journal.add(messageOf("a"));
    await settle();
    journal.add(messageOf("b"));
    await turns();
    journal.remove("a");
    journal.add(messageOf("a"));
    await settle();
    await settle();
    journal.remove("a");
    await settle();
    assert.deepEqual(changes.slice(2), [
      { add: ["a"], remove: [] },
      { add: [], remove: ["a"] },
    ]);
  });

  it("a removal that failed is not repeated when the message is there again", async () => {
    const { journal, clock, changes, settle } = setup();
    journal.add(messageOf("a"));
    await settle();
    journal.remove("a");
    await turns();
    journal.add(messageOf("a"));
    await settle(new Error("full"));
    clock.advance(1000);
    await settle();
    assert.deepEqual(changes.at(-1), { add: ["a"], remove: [] });
  });

  it("takes up what an earlier run left, before what was given since", async () => {
    const { journal, changes, settle } = setup([messageOf("old-1"), messageOf("old-2")]);
    journal.add(messageOf("new"));
    journal.add(messageOf("old-2"));
    await journal.restore();
    await settle();
    assert.deepEqual(
      journal.pending.map(({ id }) => id),
      ["old-1", "old-2", "new"],
    );
    journal.remove("old-1");
    await settle();
    assert.deepEqual(changes.at(-1), { add: [], remove: ["old-1"] });
  });

  it("flush waits for what is being written and for what came meanwhile, and tries once where it rests", async () => {
    const { journal, clock, changes, settle } = setup();
    journal.add(messageOf("a"));
    await turns();
    journal.add(messageOf("b"));
    let isFlushed = false;
    const flushed = journal.flush().then(() => (isFlushed = true));
    await settle();
    assert.equal(isFlushed, false);
    await settle(new Error("full"));
    await turns();
    assert.deepEqual(changes.at(-1), { add: ["b"], remove: [] });
    await settle();
    await flushed;
    assert.equal(clock.pending, 0);
  });

  it("close leaves no timer behind, whatever the store does", async () => {
    const { journal, clock, settle } = setup();
    journal.add(messageOf("a"));
    const closed = journal.close();
    await settle(new Error("full"));
    await settle(new Error("still full"));
    await closed;
    assert.equal(clock.pending, 0);
  });

  it("without a store that keeps messages holds them in memory, until it is cleared", async () => {
    const clock = new FakeClock();
    const journal = new Journal({ clock, store: new MemoryStore(), onError: (error) => assert.fail(String(error)) });
    await journal.restore();
    journal.add(messageOf("a"));
    assert.equal(journal.isDurable, false);
    assert.equal(journal.has("a"), true);
    journal.clear();
    assert.deepEqual(journal.pending, []);
  });
});
