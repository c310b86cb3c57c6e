// SPDX-License-Identifier: Apache-2.0
// Webhooks of real processes: a shop that fails, hangs and recovers, a judge before messages, a classifier after them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { Safety } from "../../client/src/models/index.ts";
import { eventsOf, startBackend, type ToldEvent } from "../../logic/hooks/hook-kit.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

const SECRET = "a secret of the shop and the cluster";
const WAIT_MS = 60_000;
const run = promisify(execFile);

/** Answers what the test says to whatever comes. */
class Judge {
  answer: (body: string) => string = () => '{"verdict":"allow"}';
  readonly questions: string[] = [];
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const question = Buffer.concat(chunks).toString();
      this.questions.push(question);
      response.end(this.answer(question));
    });
  });

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

describe("webhooks", async () => {
  const folder = temporaryFolder("im-hooks-");
  const hooksFile = join(folder, "hooks.json");
  const shop = await startBackend(SECRET);
  const [judge, classifier] = [new Judge(), new Judge()];
  const env = { IM_HOOKS_FILE: hooksFile, IM_WEBHOOK_ALLOWED_NETWORKS: "127.0.0.0/8" };
  before(async () => {
    const events = ["message.after", "presence", "push.result", "report.created"];
    const hooks = [
      { name: "shop", url: shop.url, secret: SECRET, events, content: true, timeoutMs: 1000, batchEvents: 5 },
      {
        ...{ name: "ml", url: await classifier.open(), secret: SECRET, events: ["message.after"], content: true },
        verdicts: true,
      },
    ];
    classifier.answer = (body) => {
      const bad = eventsOf(body).filter(({ data }) => String(data.content).includes("counterfeit"));
      return JSON.stringify({ verdicts: bad.map(({ id }) => ({ id, verdict: "recall", reason: "counterfeit" })) });
    };
    judge.answer = (body) =>
      body.includes("wechat") ? '{"verdict":"bounce","explanation":"stay here"}' : '{"verdict":"allow"}';
    const spam = { name: "judge", url: await judge.open(), secret: SECRET, onFailure: "allow", budgetMs: 2000 };
    writeFileSync(hooksFile, JSON.stringify({ hooks, before: [spam] }));
  });
  const fleet = useFleet({ entries: 1, logics: 1, extlogics: 2, logicEnv: env, extlogicEnv: env });
  after(async () => {
    await Promise.all([shop, judge, classifier].map((server) => server.close()));
    rmSync(folder, { recursive: true, force: true });
  });

  const target = () => targetOf(fleet(), "tls", 0);
  const told = (isIt: (event: ToldEvent) => boolean): ToldEvent[] => shop.taken.filter(isIt);
  const contents = (events: readonly ToldEvent[]): unknown[] => events.map(({ data }) => data.content);

  it("tell of messages, of who comes and goes, and of pushes, signed", async () => {
    const bob = await login(fleet(), "bob", target());
    await bob.client.close();
    const alice = await login(fleet(), "alice", target());
    const about = { subjectType: "item", subjectId: "lamp" };
    const { messageId } = await alice.client.send({ to: "bob", content: "are you there?", ...about });
    const message = () => told(({ id }) => id === messageId)[0];
    await waitUntil("the message", () => message() !== undefined, WAIT_MS);
    const { type, data = {} }: Partial<ToldEvent> = message() ?? {};
    assert.deepEqual(
      [type, data.sender, data.to, data.content, data.encoding, data.conversationSeq],
      ["message.after", "alice", "bob", "are you there?", "utf8", 1],
    );
    assert.deepEqual([data.subjectType, data.subjectId], ["item", "lamp"]);
    assert.match(judge.questions.at(-1) ?? "", /"subjectType":"item","subjectId":"lamp"/);
    const presence = (userId: string) =>
      told(({ type: kind, data: about }) => kind === "presence" && about.userId === userId).at(-1)?.data.online;
    await waitUntil("alice is there", () => presence("alice") === true, WAIT_MS);
    const push = () => told(({ type: kind, data: of }) => kind === "push.result" && of.messageId === messageId)[0];
    await waitUntil("the push", () => push() !== undefined, WAIT_MS);
    assert.deepEqual([push()?.data.subjectType, push()?.data.subjectId], ["item", "lamp"]);
    await alice.client.close();
    await waitUntil("alice is away", () => presence("alice") === false, WAIT_MS);
    assert.equal(shop.badSignatures, 0);
  });

  it("tell of a report once, and not of one that is sent again", async () => {
    const [alice, bob] = [await login(fleet(), "alice", target()), await login(fleet(), "bob", target())];
    const { conversationId, messageId, convSeq } = await bob.client.send({ to: "alice", content: "pay me outside" });
    const report = { reason: "fraud", conversationId, messageId, convSeq, text: "look" } as const;
    const safety = new Safety(alice.client);
    for (const reportId of ["r-1", "r-1"]) await safety.report(report, { reportId });
    await safety.report({ reason: "spam", userId: "bob" });
    const reports = () => told(({ type }) => type === "report.created");
    await waitUntil("both", () => reports().some(({ data }) => data.reason === "spam"), WAIT_MS);
    const [first, second, ...more] = reports().filter(
      ({ id }, at, all) => all.findIndex((one) => one.id === id) === at,
    );
    const { number, ...about } = first?.data ?? {};
    assert.deepEqual(about, { userId: "alice", kind: "message", reason: "fraud", conversationId, messageId });
    assert.deepEqual([second?.data.userId, second?.data.kind, more], ["alice", "user", []]);
    assert.ok(Number(number) < Number(second?.data.number));
    assert.equal(shop.badSignatures, 0);
    await Promise.all([alice, bob].map(({ client }) => client.close()));
  });

  it("come all and in order to a shop that fails, hangs and recovers, while an extlogic is killed", async () => {
    const [alice, carol] = [await login(fleet(), "alice", target()), await login(fleet(), "carol", target())];
    const moods = [{ status: 500 }, "hang", "drop"] as const;
    shop.mood = () => moods[shop.calls % moods.length] ?? "drop";
    const texts = Array.from({ length: 30 }, (_, at) => `order ${at}`);
    for (const content of texts.slice(0, 15)) await alice.client.send({ to: "carol", content });
    await waitMessages(carol, 15);
    const callsBefore = shop.calls;
    await waitUntil("it was called in vain", () => shop.calls > callsBefore + 3, WAIT_MS);
    await fleet().extlogics[0]?.kill9();
    shop.mood = () => ({ status: 200 });
    for (const content of texts.slice(15)) await alice.client.send({ to: "carol", content });
    await waitMessages(carol, 30);
    const events = () => told(({ data }) => data.sender === "alice" && data.to === "carol");
    await waitUntil("all told", () => new Set(contents(events())).size === 30, 120_000);
    const firsts = events().filter(({ id }, at, all) => all.findIndex((event) => event.id === id) === at);
    assert.deepEqual(contents(firsts), texts);
    await fleet().extlogics[0]?.start();
    await Promise.all([alice, carol].map(({ client }) => client.close()));
  });

  it("wait while extlogic is away, which holds up no message, and come when it is back", async () => {
    const [alice, carol] = [await login(fleet(), "alice", target()), await login(fleet(), "carol", target())];
    for (const extlogic of fleet().extlogics) await extlogic.kill9();
    const { messageId } = await alice.client.send({ to: "carol", content: "meanwhile" });
    await waitUntil("carol has it", () => carol.messages.some((message) => message.messageId === messageId), WAIT_MS);
    assert.equal(told(({ id }) => id === messageId).length, 0);
    for (const extlogic of fleet().extlogics) await extlogic.start();
    await waitUntil("told", () => told(({ id }) => id === messageId).length > 0, WAIT_MS);
    await Promise.all([alice, carol].map(({ client }) => client.close()));
  });

  it("judge messages before they are stored, and let them pass when nobody answers", async () => {
    const alice = await login(fleet(), "alice", target());
    await assert.rejects(alice.client.send({ to: "carol", content: "write me on wechat" }), /stay here/);
    judge.answer = () => "no verdict";
    await alice.client.send({ to: "carol", content: "also on wechat" });
    assert.ok(judge.questions.length > 1);
    await alice.client.close();
  });

  it("take a delivered message back when the classifier says so", async () => {
    const [alice, carol] = [await login(fleet(), "alice", target()), await login(fleet(), "carol", target())];
    const { messageId } = await alice.client.send({ to: "carol", content: "a counterfeit watch" });
    await waitUntil("delivered", () => carol.messages.some((message) => message.messageId === messageId), WAIT_MS);
    const isChange = ({ contentType }: { contentType: string }): boolean => contentType === "im/change";
    await waitUntil("taken back", () => carol.messages.some(isChange), WAIT_MS);
    const { conversationId } = carol.messages.find((message) => message.messageId === messageId) ?? {};
    const page = await carol.client.history(conversationId ?? "");
    const kept = page.messages.find((message) => message.messageId === messageId);
    assert.deepEqual([kept?.contentType, kept?.content.length], ["im/recalled", 0]);
    await Promise.all([alice, carol].map(({ client }) => client.close()));
  });

  it("are shown and told again from the command line", async () => {
    const main = async (...words: string[]): Promise<unknown> => {
      const cliEnv = { ...process.env, IM_POSTGRES_URL: fleet().postgresUrl, IM_HOOKS_FILE: hooksFile };
      const { stdout } = await run(process.execPath, ["logic/hooks/hooks-main.ts", ...words], { env: cliEnv });
      return JSON.parse(stdout);
    };
    const { hooks } = (await main("list")) as { hooks: { hook: string; dead: number }[] };
    assert.deepEqual(
      hooks.map(({ hook, dead }) => [hook, dead]),
      [
        ["ml", 0],
        ["shop", 0],
      ],
    );
    assert.deepEqual(await main("dead", "shop"), []);
    assert.deepEqual(await main("replay", "shop"), { replayed: 0 });
    const [first] = shop.taken;
    const times = (): number => told(({ id }) => id === first?.id).length;
    const before = times();
    assert.deepEqual(await main("rewind", "shop", "position:1"), { rewound: true });
    await waitUntil("told again", () => times() > before, WAIT_MS);
    for (const words of [["burn"], ["dead"], ["dead", "nobody"], ["rewind", "shop", "position:x"]])
      await assert.rejects(main(...words), { code: 2 });
  });
});
