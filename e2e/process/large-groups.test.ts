// SPDX-License-Identifier: Apache-2.0
// A group grows over 200 members while some of them write: who is online sees all at once, who was away reads it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Message } from "#client";
import { Changes } from "../../client/src/models/changes.ts";
import { Conversations } from "../../client/src/models/conversations.ts";
import { Groups } from "../../client/src/models/groups.ts";
import { LargeGroups } from "../../client/src/models/large-groups.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { countRows } from "../workload/read-stored.ts";
import { callApi, createApiKey } from "./api-caller.ts";
import { login, targetOf, type User, useFleet } from "./fleet-suite.ts";

const WAIT_MS = 60_000;
const MEMBERS = 200;
const PAUSE_MS = 60;
/** Of the largest group here, and how many a call of the server API takes. */
const CROWD = 1000;
const PORTION = 200;

const apiPort = await freePort();

interface Reader extends User {
  large: LargeGroups;
  /** Positions shown, by inbox or by the model, in the order of their coming. */
  seqs: number[];
  /** All that came, as it is to be shown. */
  changes: Changes;
}

describe("large groups", () => {
  const logicEnvOf = (index: number): Record<string, string> => (index === 0 ? { IM_API_PORT: String(apiPort) } : {});
  const fleet = useFleet({ entries: 2, logics: 2, logicEnv: { IM_MAX_GROUP_MEMBERS: "2000" }, logicEnvOf });

  async function join(uid: string, at: number, positions?: ReadonlyMap<string, number>): Promise<Reader> {
    const user = await login(fleet(), uid, targetOf(fleet(), "tls", at));
    const seqs: number[] = [];
    const changes = new Changes(user.client);
    const onMessage = (message: Message): void => {
      seqs.push(message.convSeq);
      changes.add([message]);
    };
    const options = { onMessage };
    const large = new LargeGroups(user.client, positions ? { ...options, positions } : options);
    user.client.on("message", (message) => {
      if (!large.has(message.conversationId) || groupGrows(message)) seqs.push(message.convSeq);
    });
    return { ...user, large, seqs, changes };
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

  it("cost a row and a pointer for a message, an edit and a recall, however many there are, and all of them end alike", async () => {
    const key = await createApiKey(fleet().postgresUrl, ["groups:manage"]);
    const call = async (path: string, body: object): Promise<Record<string, unknown>> => {
      const answer = await callApi(apiPort, { method: "POST", path, key, body: { actor: "svc:crowd", ...body } });
      assert.ok(answer.status < 300, JSON.stringify(answer.body));
      return answer.body;
    };
    const known = ["lg-eve", "lg-fay", "lg-gus"];
    const group = await call("/v1/groups", { name: "crowd", userIds: known });
    const conversationId = String(group.groupId);
    let size = known.length + 1;
    const growTo = async (count: number): Promise<void> => {
      for (; size < count; size += PORTION) {
        const userIds = Array.from({ length: PORTION }, (_, at) => `lg-crowd-${size + at}`);
        await call(`/v1/groups/${conversationId}/members`, { userIds });
      }
    };
    const [eve, fay, gus] = await Promise.all([join("lg-eve", 0), join("lg-fay", 1), join("lg-gus", 1)]);
    /** What is written for two messages, an edit of the first and a recall of the second. */
    const figures = async () => {
      const before = await countRows(fleet().postgresUrl, conversationId);
      const [first, second] = [
        await eve.large.send({ conversationId, content: "to edit" }),
        await eve.large.send({ conversationId, content: "to recall" }),
      ];
      const changes = new Changes(eve.client);
      await changes.edit({ ...first, version: 1 }, `edited at ${size}`);
      await changes.recall(second);
      const after = await countRows(fleet().postgresUrl, conversationId);
      return { messages: after.messages - before.messages, pointers: after.pointers - before.pointers };
    };
    /** The group as a member's app shows it: what came online, or was read. */
    const shownBy = (reader: Reader): string[] =>
      reader.changes
        .list(conversationId)
        .filter(({ sender }) => sender === "lg-eve")
        .map(({ isRecalled, content }) => (isRecalled ? "-" : Buffer.from(content).toString()));
    const shows = (reader: Reader, texts: readonly string[]): Promise<void> =>
      waitUntil(`${reader.client.userId} shows ${texts.join()}`, () => `${shownBy(reader)}` === `${texts}`, WAIT_MS);

    await growTo(MEMBERS + 1);
    const few = size;
    await waitUntil("they follow it", () => [eve, fay, gus].every(({ large }) => large.has(conversationId)), WAIT_MS);
    assert.deepEqual(await figures(), { messages: 4, pointers: 4 });
    await shows(fay, [`edited at ${few}`, "-"]);
    await shows(gus, [`edited at ${few}`, "-"]);
    const positions = new Map(gus.large.positions);
    await gus.client.close();

    await growTo(CROWD);
    assert.deepEqual(await figures(), { messages: 4, pointers: 4 }, `${size} members`);
    const all = [`edited at ${few}`, "-", `edited at ${size}`, "-"];
    await shows(fay, all);
    // Whoever was away reads what became of it, and whoever never saw the group has nothing of the old contents.
    const again = await join("lg-gus", 0, positions);
    await shows(again, all.slice(2));
    const page = await again.client.history(conversationId, { limit: 100 });
    assert.ok(page.messages.every(({ text }) => !/^to (edit|recall)/.test(text)));
    for (const { client } of [eve, fay, again]) await client.close();
  });
});
