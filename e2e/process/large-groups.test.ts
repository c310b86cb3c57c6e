// SPDX-License-Identifier: Apache-2.0
// A group grows over 200 members while some of them write: who is online sees all at once, who was away reads it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Conversations } from "../../client/src/models/conversations.ts";
import { Groups } from "../../client/src/models/groups.ts";
import { LargeGroups } from "../../client/src/models/large-groups.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, type User, useFleet } from "./fleet-suite.ts";

const WAIT_MS = 60_000;
const MEMBERS = 200;
const PAUSE_MS = 60;

interface Reader extends User {
  large: LargeGroups;
  /** Positions shown, by inbox or by the model, in the order of their coming. */
  seqs: number[];
}

describe("large groups", () => {
  const fleet = useFleet({ entries: 2, logics: 2, logicEnv: { IM_MAX_GROUP_MEMBERS: "1000" } });

  async function join(uid: string, at: number, positions?: ReadonlyMap<string, number>): Promise<Reader> {
    const user = await login(fleet(), uid, targetOf(fleet(), "tls", at));
    const seqs: number[] = [];
    const options = { onMessage: ({ convSeq }: { convSeq: number }) => void seqs.push(convSeq) };
    const large = new LargeGroups(user.client, positions ? { ...options, positions } : options);
    user.client.on("message", (message) => {
      if (!large.has(message.conversationId) || groupGrows(message)) seqs.push(message.convSeq);
    });
    return { ...user, large, seqs };
  }

  /** The last message that everybody has in the inbox: the model follows the group from there on. */
  const groupGrows = ({ contentType, text }: { contentType: string; text: string }): boolean =>
    contentType === "im/group" && (JSON.parse(text) as { members: number }).members === MEMBERS + 1;

  it("show everything once and in order over the change that makes them large", async () => {
    const [ann, ben, cal] = await Promise.all([join("lg-ann", 0), join("lg-ben", 1), join("lg-cal", 0)]);
    const others = Array.from({ length: MEMBERS - 3 }, (_, n) => `lg-${n}`);
    const { conversationId } = await new Groups(ann.client).create({
      ...{ name: "many", userIds: ["lg-ben", "lg-cal", ...others] },
    });
    let isWriting = true;
    let written = 0;
    const writing = (async () => {
      for (; isWriting; written++) {
        await ann.large.send({ conversationId, content: `${written}` });
        // A large group has a pace.
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    })();
    await waitUntil("ben hears them", () => ben.seqs.length > 3, WAIT_MS);
    const grown = await new Groups(ann.client).invite(conversationId, ["lg-dan"]);
    assert.deepEqual(grown.userIds, ["lg-dan"]);
    const before = written;
    await waitUntil("some more are written", () => written >= before + 5, WAIT_MS);
    await cal.client.close();
    await waitUntil("some more are written", () => written >= before + 10, WAIT_MS);
    isWriting = false;
    await writing;
    const last = written + 2;
    const oneTo = (count: number) => Array.from({ length: count }, (_, at) => at + 1);
    await waitUntil("ben has seen all", () => ben.seqs.at(-1) === last, WAIT_MS);
    assert.deepEqual(ben.seqs, oneTo(last));

    // Whoever was away has them in the list, and reads them.
    const again = await join("lg-cal", 0, new Map([[conversationId, cal.seqs.at(-1) ?? 0]]));
    const list = new Conversations(again.client);
    const [contact] = await list.load();
    assert.deepEqual([contact?.conversationId, contact?.lastSeq], [conversationId, last]);
    assert.ok((contact?.unread ?? 0) > 0);
    await waitUntil("cal has read all", () => again.seqs.at(-1) === last, WAIT_MS);
    assert.deepEqual([...cal.seqs, ...again.seqs], oneTo(last));
    await list.markRead(conversationId, last);
    await list.load();
    assert.equal(list.find(conversationId)?.unread, 0);

    // And hears what is said now, by somebody else, through another entry.
    await ben.large.send({ conversationId, content: "hello" });
    await waitUntil("cal hears it", () => again.seqs.at(-1) === last + 1, WAIT_MS);
    await new Groups(ann.client).remove(conversationId, ["lg-cal"]);
    await assert.rejects(again.client.send({ conversationId, content: "late" }));
    for (const { client } of [ann, ben, again]) await client.close();
  });
});
