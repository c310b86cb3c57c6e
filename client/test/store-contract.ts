// SPDX-License-Identifier: Apache-2.0
// What every store that keeps messages must do. Plain checks, so that they run in Node and inside a browser alike.
import type { PendingMessage, Store, StoredCursor } from "../src/store.ts";

type DurableStore = Required<Store>;

const messageOf = (id: string, content: number[] = [0, 127, 128, 255]): PendingMessage => ({
  id,
  userId: "alice",
  to: "bob 你好",
  conversationId: "",
  contentType: "text/plain",
  content: new Uint8Array(content),
});
const cursorOf = (cursor: number): StoredCursor => ({ userId: "alice", epoch: "e-1", cursor });

/** `open(name)` gives a store with what an earlier one of that name kept. Resolves with what went wrong; nothing is good. */
export async function checkStore(open: (name: string) => DurableStore | Promise<DurableStore>): Promise<string[]> {
  const problems: string[] = [];
  const same = (what: string, actual: unknown, expected: unknown): void => {
    const [a, b] = [actual, expected].map((value) => JSON.stringify(value, plain));
    if (a !== b) problems.push(`${what}: ${a} instead of ${b}`);
  };
  const ids = async (store: DurableStore): Promise<string> => (await store.loadOutbox()).map(({ id }) => id).join();

  let store = await open("one");
  same("an empty store has no cursor", await store.load(), undefined);
  same("an empty store has no messages", await store.loadOutbox(), []);
  await store.save(cursorOf(1));
  await store.save(cursorOf(2));
  await store.saveOutbox({ add: [messageOf("a"), messageOf("b", []), messageOf("c")], remove: [] });
  store = await open("one");
  same("the last cursor is there", await store.load(), cursorOf(2));
  same("messages are as they were", await store.loadOutbox(), [messageOf("a"), messageOf("b", []), messageOf("c")]);
  await store.saveOutbox({ add: [messageOf("d")], remove: ["b", "never there"] });
  same("in order, without what was removed", await ids(store), "a,c,d");
  await store.saveOutbox({ add: [messageOf("a", [9])], remove: ["c", "d"] });
  store = await open("one");
  same("a message that comes again replaces the first", await store.loadOutbox(), [messageOf("a", [9])]);
  await store.saveOutbox({ add: [messageOf("a", [8])], remove: ["a"] });
  store = await open("one");
  same("what is removed and added in one change is there", await store.loadOutbox(), [messageOf("a", [8])]);
  await store.saveOutbox({ add: [], remove: [] });
  same("another name is another store", await (await open("two")).loadOutbox(), []);

  await Promise.all([
    store.save(cursorOf(3)),
    store.saveOutbox({ add: [messageOf("e")], remove: ["a"] }),
    store.load(),
    store.loadOutbox(),
  ]);
  store = await open("one");
  same("cursor and messages may be saved at the same time", [await store.load(), await ids(store)], [cursorOf(3), "e"]);

  const many = Array.from({ length: 1000 }, (_, n) => messageOf(`m${n}`, new Array(200).fill(n % 256)));
  await store.saveOutbox({ add: many, remove: ["e"] });
  for (let n = 0; n < 1000; n += 100) {
    await store.saveOutbox({ add: [], remove: many.slice(n, n + 99).map(({ id }) => id) });
  }
  store = await open("one");
  same(
    "a thousand come and go",
    await ids(store),
    many
      .filter((_, n) => n % 100 === 99)
      .map(({ id }) => id)
      .join(),
  );
  return problems;
}

function plain(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { bytes: [...value] } : value;
}
