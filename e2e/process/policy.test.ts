// SPDX-License-Identifier: Apache-2.0
// Rules, shadowed messages and blocks, by the SDK through real entries and logics.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ErrorCode, ImClientError } from "../../client/src/index.ts";
import { Changes, Conversations, Groups, Safety, type TypingNotice } from "../../client/src/models/index.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, type User, useFleet } from "./fleet-suite.ts";

const WAIT_MS = 60_000;
const unique = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 10)}`;

const RULES = [
  {
    id: "contact",
    kind: "contact",
    verdict: "bounce",
    explanation: "Keep it here until you buy.",
    finds: ["phone", "wechat"],
  },
  { id: "fakes", kind: "words", verdict: "shadow", words: ["replica watches"] },
  { id: "weapons", kind: "words", verdict: "block", words: ["flamethrower"] },
  { id: "stranger", kind: "stranger", verdict: "bounce", explanation: "Wait for an answer.", maxUnanswered: 3 },
];

interface Person extends User {
  readonly name: string;
  readonly book: Conversations;
  readonly safety: Safety;
  readonly typing: TypingNotice[];
  readonly got: string[];
}

describe("rules and blocks", () => {
  const folder = mkdtempSync(join(tmpdir(), "policy-"));
  const file = join(folder, "policy.json");
  const rules = (list: readonly object[]): void => writeFileSync(file, JSON.stringify({ version: 1, rules: list }));
  rules(RULES);
  after(() => rmSync(folder, { recursive: true, force: true }));
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_POLICY_FILE: file } });
  const until = (what: string, isSo: () => boolean): Promise<void> => waitUntil(what, isSo, WAIT_MS);

  async function person(name: string, entry: number, device = "phone"): Promise<Person> {
    const typing: TypingNotice[] = [];
    const got: string[] = [];
    let parts: { book: Conversations; safety: Safety } | undefined;
    const options = { platform: device === "phone" ? "android" : "web", deviceId: `${name}-${device}` } as const;
    const user = await login(fleet(), name, targetOf(fleet(), "tcp", entry), options, (client) => {
      client.on("message", (message) => void got.push(message.text));
      const book = new Conversations(client, { onTyping: (notice) => void typing.push(notice) });
      parts = { book, safety: new Safety(client) };
    });
    assert.ok(parts);
    await parts.book.load();
    return { ...user, ...parts, name, typing, got };
  }

  const refusal = async (sending: Promise<unknown>): Promise<ImClientError> => {
    const error = await sending.then(
      () => assert.fail("it was sent"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof ImClientError);
    return error;
  };

  /** Texts that the user finds by history and in its list, with a new device. */
  async function everything(name: string, conversationId: string): Promise<string[]> {
    const fresh = await person(name, 1, unique("fresh"));
    const texts = new Set<string>(fresh.got);
    for (const { lastMessage } of fresh.book.list) if (lastMessage) texts.add(lastMessage.text);
    const page = await fresh.client.history(conversationId, { limit: 50 }).catch(() => undefined);
    for (const message of page?.messages ?? []) texts.add(message.text);
    return [...texts].sort();
  }

  it("bounces with the explanation, blocks without one, and holds strangers to a few messages", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    const bounced = await refusal(alice.client.send({ to: bob.name, content: "加我微信 abc12345" }));
    assert.deepEqual(
      [bounced.code, bounced.rule, bounced.message, bounced.retryable],
      [ErrorCode.BOUNCED, "contact", "Keep it here until you buy.", false],
    );
    const blocked = await refusal(alice.client.send({ to: bob.name, content: "a flamethrower" }));
    assert.deepEqual([blocked.code, blocked.rule], [ErrorCode.PERMISSION_DENIED, ""]);
    for (const content of ["one", "two", "three"]) await alice.client.send({ to: bob.name, content });
    const fourth = await refusal(alice.client.send({ to: bob.name, content: "four" }));
    assert.deepEqual([fourth.code, fourth.rule], [ErrorCode.BOUNCED, "stranger"]);
    await bob.client.send({ to: alice.name, content: "yes?" });
    const sent = await alice.client.send({ to: bob.name, content: "five" });
    const changes = new Changes(alice.client);
    const edit = { conversationId: sent.conversationId, convSeq: sent.convSeq, messageId: sent.messageId };
    const edited = await refusal(changes.edit({ ...edit, version: 1 }, "加我微信 abc12345"));
    assert.deepEqual([edited.code, edited.rule], [ErrorCode.BOUNCED, "contact"]);
    await until("bob has what passed", () => bob.got.length === 4);
    assert.deepEqual(bob.got, ["one", "two", "three", "five"]);
  });

  it("shadows: the sender's devices see it, nobody else does by any way", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    const laptop = await person(alice.name, 1, "laptop");
    const first = await alice.client.send({ to: bob.name, content: "hello" });
    const shadowed = await alice.client.send({ to: bob.name, content: "replica watches here" });
    assert.deepEqual([shadowed.convSeq, shadowed.conversationId], [2, first.conversationId]);
    await until("her laptop has it", () => laptop.got.includes("replica watches here"));
    const changes = new Changes(alice.client);
    await changes.recall({ conversationId: first.conversationId, convSeq: 2, messageId: shadowed.messageId });
    await bob.client.send({ to: alice.name, content: "hi" });
    await alice.client.send({ to: bob.name, content: "still there?" });
    await until("bob has the last one", () => bob.got.includes("still there?"));
    assert.deepEqual(bob.got, ["hello", "still there?"]);
    await until("bob's list has it", () => bob.book.list[0]?.lastMessage?.text === "still there?");
    const shadow = await alice.client.send({ to: bob.name, content: "more replica watches" });
    assert.ok(shadow.convSeq > 0);
    assert.deepEqual(await everything(bob.name, first.conversationId), ["hello", "hi", "still there?"]);
    assert.ok((await everything(alice.name, first.conversationId)).includes("more replica watches"));
  });

  it("blocks: nothing of the blocked one comes, and it cannot tell", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    const tablet = await person(bob.name, 0, "tablet");
    const { conversationId } = await alice.client.send({ to: bob.name, content: "hello" });
    await bob.client.send({ to: alice.name, content: "hi" });
    await until("bob has it", () => bob.got.includes("hello"));
    assert.deepEqual(await bob.safety.block([alice.name]), [alice.name]);
    await until("his tablet knows", () => tablet.safety.isBlocked(alice.name));
    const sent = await alice.client.send({ to: bob.name, content: "why?" });
    assert.equal(sent.convSeq, 3);
    alice.book.typing(conversationId);
    await bob.book.markRead(conversationId, 1);
    const own = await refusal(bob.client.send({ to: alice.name, content: "go" }));
    assert.equal(own.code, ErrorCode.PERMISSION_DENIED);
    const invited = await refusal(new Groups(alice.client).create({ userIds: [bob.name] }));
    assert.equal(invited.code, ErrorCode.PERMISSION_DENIED);
    assert.deepEqual(await everything(bob.name, conversationId), ["hello", "hi"]);
    assert.ok((await everything(alice.name, conversationId)).includes("why?"));
    assert.deepEqual(await alice.book.receipts(conversationId), [{ conversationId, userId: bob.name, readSeq: 0 }]);
    assert.deepEqual(await bob.safety.unblock([alice.name]), []);
    await alice.client.send({ to: bob.name, content: "thanks" });
    await until("bob has it", () => bob.got.includes("thanks"));
    assert.deepEqual([bob.got, bob.typing], [["hello", "thanks"], []]);
  });

  it("takes new rules while it runs, and keeps them when the file is broken", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    await alice.client.send({ to: bob.name, content: "is the umbrella still there?" });
    rules([...RULES, { id: "umbrellas", kind: "words", verdict: "block", words: ["umbrella"] }]);
    const isRefused = async (content: string): Promise<boolean> => {
      const error = await alice.client.send({ to: unique("dave"), content }).catch((thrown: unknown) => thrown);
      return error instanceof ImClientError && error.code === ErrorCode.PERMISSION_DENIED;
    };
    let refused = 0;
    for (const deadlineMs = performance.now() + WAIT_MS; refused < 4 && performance.now() < deadlineMs; ) {
      refused = (await isRefused("an umbrella")) ? refused + 1 : 0;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.equal(refused, 4, "the new rule holds");
    writeFileSync(file, '{"version": 1, "rules": [{}]}');
    await new Promise((resolve) => setTimeout(resolve, 6000));
    assert.ok(await isRefused("an umbrella"));
  });
});
