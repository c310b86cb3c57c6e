// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { order } from "../store/contract/changes.ts";
import { appended, message } from "../store/contract/fixture.ts";
import { MemoryStore } from "../store/memory.ts";
import type { AppendedMessage } from "../store/store.ts";
import type { PushPolicy } from "./policy.ts";
import { eventKey, Recipients } from "./recipients.ts";

it("finds nothing to push in changes, nor in what was recalled before its push", async () => {
  const store = new MemoryStore();
  const recipients = new Recipients(store, { readBy: "any" } as PushPolicy, setImmediate);
  const send = async (): Promise<AppendedMessage> =>
    appended((await store.append([message({ sender: "alice", peer: "bob" })]))[0]);
  const [first, second] = [await send(), await send()];
  await store.changes.change(order({ kind: "recall", sender: "alice", of: first }));
  await store.changes.change(order({ kind: "edit", sender: "alice", of: second }));
  const wanted = [1, 2, 3, 4].map((inboxSeq) => ({ userId: "bob", inboxSeq }));
  const found = await recipients.events(wanted);
  assert.deepEqual([...found.keys()], [eventKey({ userId: "bob", inboxSeq: 2 })]);
});
