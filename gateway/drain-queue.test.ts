// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DrainQueue } from "./drain-queue.ts";

interface Client {
  name: string;
  isBusy: boolean;
  heardTick: number;
}
const client = (name: string, heardTick: number, isBusy = false): Client => ({ name, heardTick, isBusy });
const ORDER = { isBusy: ({ isBusy }: Client) => isBusy, heardAt: ({ heardTick }: Client) => heardTick };
const names = (taken: readonly Client[]) => taken.map(({ name }) => name).join("");

describe("DrainQueue", () => {
  it("gives those first that were silent longest, and those in the middle of something last", () => {
    const queue = new DrainQueue<Client>(ORDER);
    queue.fill([client("c", 30), client("b", 20, true), client("a", 10), client("d", 40)]);
    assert.equal(names(queue.take(2)), "ac");
    assert.equal(names(queue.take(5)), "db");
    assert.equal(names(queue.take(5)), "");
  });

  it("looks again at those that were busy: one that has finished goes before one that has not", () => {
    const queue = new DrainQueue<Client>(ORDER);
    const [a, b] = [client("a", 1, true), client("b", 2, true)];
    queue.fill([a, b, client("c", 3)]);
    assert.equal(names(queue.take(1)), "c");
    b.isBusy = false;
    assert.equal(names(queue.take(1)), "b");
    assert.equal(names(queue.take(1)), "a");
  });

  it("takes newcomers in, also when it was empty", () => {
    const queue = new DrainQueue<Client>(ORDER);
    queue.fill([]);
    assert.equal(names(queue.take(3)), "");
    queue.add(client("late", 0));
    assert.equal(names(queue.take(3)), "late");
  });

  it("gives nobody's place to one that has left, or was asked already", () => {
    const gone = new Set(["a", "d"]);
    const queue = new DrainQueue<Client>({ ...ORDER, isHere: ({ name }) => !gone.has(name) });
    queue.fill([client("a", 1), client("b", 2), client("c", 3), client("d", 4, true), client("e", 5, true)]);
    assert.equal(names(queue.take(2)), "bc");
    gone.add("e");
    assert.equal(names(queue.take(2)), "");
    gone.delete("e");
    queue.add(client("f", 6, true));
    queue.add(client("g", 7, true));
    assert.equal(names(queue.take(0)), "");
    assert.equal(names(queue.take(1)), "f");
    gone.add("g");
    assert.equal(names(queue.take(1)), "");
  });

  it("gives each client once, whatever is asked for in what order", () => {
    const clients = fc.array(fc.record({ heardTick: fc.nat(50), isBusy: fc.boolean() }), { maxLength: 40 });
    fc.assert(
      fc.property(clients, fc.array(fc.nat(6), { maxLength: 40 }), (list, counts) => {
        const queue = new DrainQueue<Client>(ORDER);
        const all = list.map((one, at) => ({ ...one, name: `${at},` }));
        queue.fill(all);
        const taken: Client[] = [];
        for (const count of counts) {
          const some = queue.take(count);
          assert.ok(some.length <= count);
          if (some.length < count) assert.equal(taken.length + some.length, all.length, "short although some are left");
          taken.push(...some);
        }
        taken.push(...queue.take(Number.POSITIVE_INFINITY));
        assert.equal(new Set(taken).size, all.length);
        assert.equal(taken.length, all.length);
        const firstBusy = taken.findIndex(({ isBusy }) => isBusy);
        if (firstBusy >= 0)
          assert.ok(
            taken.slice(firstBusy).every(({ isBusy }) => isBusy),
            "busy ones are last",
          );
      }),
    );
  });
});
