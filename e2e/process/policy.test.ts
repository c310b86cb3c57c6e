// SPDX-License-Identifier: Apache-2.0
// Rules, shadowed messages, blocks, reports, orders and mutes, by the SDK and the server API through real entries and logics.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ErrorCode, ImClientError } from "../../client/src/index.ts";
import { Changes, Conversations, Groups, Safety, type TypingNotice } from "../../client/src/models/index.ts";
import { SCOPES } from "../../logic/server-api/api-key.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { type ApiReply, callApi, createApiKey } from "./api-caller.ts";
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
  {
    ...{ id: "offsite", kind: "words", verdict: "bounce", words: ["meet me outside"] },
    ...{ explanation: "After you have an order.", unlessOrder: true },
  },
  { id: "weapons", kind: "words", verdict: "block", words: ["flamethrower"] },
  { id: "stranger", kind: "stranger", verdict: "bounce", explanation: "Wait for an answer.", maxUnanswered: 3 },
];

const apiPort = await freePort();

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
  const logicEnvOf = (index: number): Record<string, string> => (index === 0 ? { IM_API_PORT: String(apiPort) } : {});
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_POLICY_FILE: file }, logicEnvOf });
  let shared: Promise<string> | undefined;
  /** The shop's backend calls the server API. */
  async function shop(method: "GET" | "POST", path: string, body?: object): Promise<ApiReply> {
    shared ??= createApiKey(fleet().postgresUrl, SCOPES);
    return await callApi(apiPort, { method, path, body, key: await shared });
  }
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

  it("shadows also for whoever reads by the server API, and reports of what they see show none of it", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    const { conversationId } = await alice.client.send({ to: bob.name, content: "hello" });
    const shadowed = await alice.client.send({ to: bob.name, content: "replica watches here" });
    const last = await alice.client.send({ to: bob.name, content: "well?" });
    const read = async (name: string): Promise<string[]> => {
      const { body } = await shop("GET", `/v1/users/${name}/conversations/${conversationId}/messages`);
      return (body.messages as { content: string }[]).map(({ content }) => content);
    };
    assert.deepEqual(await read(bob.name), ["hello", "well?"]);
    assert.deepEqual(await read(alice.name), ["hello", "replica watches here", "well?"]);
    const ledger = (name: string) => shop("GET", `/v1/users/${name}/messages/${shadowed.messageId}`);
    assert.deepEqual([(await ledger(alice.name)).status, (await ledger(bob.name)).status], [200, 404]);
    // Nor may he name it: it is not there.
    const place = { conversationId, convSeq: shadowed.convSeq, messageId: shadowed.messageId };
    const unseen = await refusal(bob.safety.report({ reason: "spam", ...place }));
    assert.equal(unseen.code, ErrorCode.NOT_FOUND);
    await bob.safety.report({ reason: "spam", ...place, convSeq: last.convSeq, messageId: last.messageId });
    const listed = (await shop("GET", "/v1/reports")).body.reports as { reporter: string; context: string }[];
    const own = listed.find(({ reporter }) => reporter === bob.name);
    assert.ok(own, JSON.stringify(listed));
    for (const text of ["hello", "well?"]) assert.ok(own.context.includes(text), own.context);
    assert.ok(!own.context.includes("replica"));
  });

  it("takes reports and appeals once each, which the shop lists and decides", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    const { conversationId, convSeq, messageId } = await alice.client.send({ to: bob.name, content: "pay me first" });
    const report = { reason: "fraud", text: "odd", conversationId, convSeq, messageId } as const;
    for (let times = 0; times < 2; times++) await bob.safety.report(report, { reportId: "r-1" });
    const content = "加我微信 abc12345";
    const bounced = await refusal(alice.client.send({ to: bob.name, content }));
    await alice.safety.appeal({ rule: bounced.rule, to: bob.name, content, text: "it is my shop's name" });
    interface Shown {
      number: number;
      kind: string;
      reporter: string;
      reported: string;
      rule: string;
      context: string;
    }
    const mine = async (state: "open" | "all"): Promise<Shown[]> => {
      const { body } = await shop("GET", `/v1/reports?state=${state}`);
      return (body.reports as Shown[]).filter(({ reporter }) => reporter === alice.name || reporter === bob.name);
    };
    const [first, second, ...more] = await mine("open");
    assert.ok(first && second && more.length === 0);
    assert.deepEqual([first.kind, first.reporter, first.reported], ["message", bob.name, alice.name]);
    assert.ok(first.context.includes("pay me first"));
    assert.deepEqual([second.kind, second.reporter, second.rule], ["appeal", alice.name, "contact"]);
    assert.ok(second.context.includes("abc12345"));
    const resolve = (number: number, resolution: string) => shop("POST", "/v1/reports/resolve", { number, resolution });
    assert.ok((await resolve(first.number, "upheld")).status < 300);
    assert.deepEqual(
      (await mine("open")).map(({ number }) => number),
      [second.number],
    );
    assert.equal((await mine("all")).length, 2);
  });

  it("holds a rule back while the two have an order, and for nobody else", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    const say = (to: string) => alice.client.send({ to, content: "meet me outside" });
    assert.equal((await refusal(say(bob.name))).rule, "offsite");
    const order = { buyerId: bob.name, sellerId: alice.name, orderId: "o-1" };
    assert.equal((await shop("POST", "/v1/orders", { ...order, open: true })).status, 204);
    // Nobody has answered yet, so nothing is remembered: it is asked for each message.
    await say(bob.name);
    assert.equal((await refusal(say(unique("carol")))).rule, "offsite");
    assert.equal((await shop("POST", "/v1/orders", { ...order, open: false })).status, 204);
    assert.equal((await refusal(say(bob.name))).rule, "offsite");
    await until("bob has the one that passed", () => bob.got.length === 1);
  });

  it("mutes by the server API: no message and no edit through any logic, but reading, recalls and the time when it ends", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    const laptop = await person(alice.name, 1, "laptop");
    const sent = await alice.client.send({ to: bob.name, content: "first" });
    // They know each other: no rule for strangers holds.
    await bob.client.send({ to: alice.name, content: "hello" });
    const mute = { forMs: 3_600_000, reason: "Be kind." };
    assert.ok((await shop("POST", `/v1/users/${alice.name}/mute`, mute)).status < 300);
    const tries: Promise<unknown>[] = [];
    /** What the newest of many messages is answered. */
    const outcomeOf = async (device: Person): Promise<ImClientError | undefined> => {
      const sending = device.client.send({ to: bob.name, content: "again" });
      tries.push(sending.catch(() => undefined));
      return await sending.then(
        () => undefined,
        (error: ImClientError) => error,
      );
    };
    for (const device of [alice, laptop])
      await waitUntil("it is muted", async () => (await outcomeOf(device))?.rule === "muted", WAIT_MS);
    const refused = await outcomeOf(alice);
    assert.deepEqual([refused?.code, refused?.message, refused?.retryable], [ErrorCode.BOUNCED, "Be kind.", false]);
    const changes = new Changes(alice.client);
    assert.equal((await refusal(changes.edit({ ...sent, version: 1 }, "more"))).rule, "muted");
    await changes.recall(sent);
    await bob.client.send({ to: alice.name, content: "calm down" });
    await until("she reads on", () => alice.got.includes("calm down"));
    assert.equal((await shop("GET", `/v1/users/${alice.name}/mute`)).body.reason, "Be kind.");
    assert.ok((await shop("POST", `/v1/users/${alice.name}/unmute`, {})).status < 300);
    for (const device of [alice, laptop])
      await waitUntil("she may write again", async () => (await outcomeOf(device)) === undefined, WAIT_MS);
    await Promise.all(tries);
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
    const isTold = (index: number): boolean =>
      fleet().logic(index).logTail(1_000_000).includes("not as they should be");
    await until("both have read it", () => [0, 1].every(isTold));
    assert.ok(await isRefused("an umbrella"));
  });
});
