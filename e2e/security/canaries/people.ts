// SPDX-License-Identifier: Apache-2.0
// What people, backends and providers say: everything in it is private.
import { spawn } from "node:child_process";
import { ImClient, type ImClientOptions } from "#client";
import { Changes, Conversations, Groups, Safety } from "../../../client/src/models/index.ts";
import { SERVER_NAME } from "../../harness/fleet.ts";
import { waitUntil } from "../../harness/processes.ts";
import { callApi } from "../../process/api-caller.ts";
import { firstUrl, targetTransport } from "../../workload/sdk-transport.ts";
import type { CanaryFleet } from "./secrets.ts";

const LOGIN_TIMEOUT_MS = 60_000;
const WAIT_MS = 60_000;
const CARRIERS = ["tls", "wss", "sse", "poll"] as const;
type Carrier = (typeof CARRIERS)[number];

/** An SDK client, logged in; its token and names are canaries. */
async function enter(at: CanaryFleet, uid: string, carrier: Carrier, more: Partial<ImClientOptions> = {}) {
  const { set, fleet } = at;
  const path = carrier === "wss" ? "/ws" : "";
  const scheme = carrier === "sse" || carrier === "poll" ? `${carrier}+https` : carrier;
  const target = {
    url: `${scheme}://127.0.0.1:${fleet.entry(0).tlsPort}${path}`,
    ca: fleet.ca,
    servername: SERVER_NAME,
  };
  const client = new ImClient({
    url: firstUrl(target),
    transport: targetTransport(target),
    getToken: async () => set.add("token", await fleet.tokens.mint(uid)),
    deviceId: `${uid}-device`,
    platform: "android",
    ...more,
  });
  client.connect();
  await client.ready({ signal: AbortSignal.timeout(LOGIN_TIMEOUT_MS) });
  return client;
}

/** Messages of all kinds by every carrier, changes, groups, subjects, reports. */
export async function talk(at: CanaryFleet): Promise<void> {
  const { set } = at;
  await Promise.all(
    CARRIERS.map(async (carrier, index) => {
      const [a, b] = [`alice-${index}`, `bob-${index}`];
      const [alice, bob] = [await enter(at, a, carrier), await enter(at, b, carrier)];
      const body = () => set.word("message body");
      const told: string[] = [];
      bob.on("message", ({ messageId }) => told.push(messageId));
      const first = await alice.send({ to: b, content: body() });
      for (const contentType of ["text/plain", "application/json", "image/png", "application/octet-stream"])
        await alice.send({ to: b, contentType, content: JSON.stringify({ text: body(), url: `https://x/${body()}` }) });
      await alice.send({ to: b, content: Buffer.concat([Buffer.from([0, 255, 10]), Buffer.from(body())]) });
      await bob.send({ to: a, content: `${"long ".repeat(1000)}${body()}` });
      await alice.send({ to: b, content: body(), subjectType: "item", subjectId: set.word("subject") });
      await alice.send({ to: b, content: body(), id: set.word("client message id") });
      const changes = new Changes(alice);
      changes.addSent(first, "");
      await changes.edit({ ...first, version: 1 }, body()).catch(() => undefined);
      const groups = new Groups(alice);
      const { conversationId } = await groups.create({ name: set.word("name of a group"), userIds: [b] });
      await groups.rename(conversationId, set.word("name of a group"));
      await alice.send({ conversationId, content: body() });
      await new Safety(bob).report({ reason: "fraud", userId: a, text: set.word("text of a report") });
      await new Conversations(bob).load();
      await bob.history(first.conversationId);
      await waitUntil(`${b} has what was written`, () => told.length >= 8, WAIT_MS);
      await alice.setDevice({ locale: "zh-CN", prefs: { note: set.word("preferences") } });
      await Promise.all([alice.close(), bob.close()]);
    }),
  );
}

/** What rules refuse is said to its sender, and appealed against. */
export async function breakRules(at: CanaryFleet): Promise<void> {
  const { set, words } = at;
  const client = await enter(at, "rulebreaker", "tls");
  for (const word of words) {
    const content = `${set.word("message body")} ${word}`;
    const refusal = await client.send({ to: "bob-0", content }).then(
      () => "nothing",
      (error: unknown) => String(error),
    );
    if (!refusal.includes("not that word")) throw new Error(`the rule refuses it with: ${refusal}`);
    const appeal = { rule: "words", to: "bob-0", content, text: set.word("text of an appeal") };
    await new Safety(client).appeal(appeal);
  }
  await client.close();
}

/** Devices that are away, with tokens and numbers; providers that accept, refuse and fail with secrets in their answers. */
export async function reachAbsent(at: CanaryFleet): Promise<void> {
  const { set, sandboxes, fleet } = at;
  const sender = await enter(at, "sender", "tls");
  const people = Array.from({ length: 9 }, (_, index) => ({
    uid: `absent-${index}`,
    provider: index % 2 === 0 ? "apns" : "fcm",
    token: index % 2 === 0 ? set.hex("push token") : `${set.word("push token")}:${set.word("push token")}`,
    phone: set.phone("phone number"),
  }));
  const kinds = ["accept", "refuse", "gone", "fail", "expired", "reset"] as const;
  for (const sandbox of Object.values(sandboxes))
    sandbox.behave = (address) => {
      const index = people.findIndex(({ token, phone }) => token === address || phone === address);
      return { kind: kinds[index % kinds.length] ?? "accept" };
    };
  for (const { uid, provider, token } of people) {
    const client = await enter(at, uid, "tls");
    await client.setDevice({ push: { provider, token } });
    await client.close();
  }
  const contacts = people.map(({ uid, phone }) => ({ userId: uid, phone, timeZone: "Asia/Shanghai" }));
  const told = await runTool(["logic/push/contacts-main.ts"], { IM_POSTGRES_URL: fleet.postgresUrl }, contacts);
  for (const hit of set.search("contacts-main", told)) throw new Error(`contacts-main prints ${hit.sort}`);
  for (const { uid } of people) await sender.send({ to: uid, content: set.word("message body") });
  const tried = () => Object.values(sandboxes).reduce((sum, { pushes }) => sum + pushes.length, 0);
  await waitUntil("the providers were asked", () => tried() >= 2 * people.length - 2, WAIT_MS);
  await sender.close();
}

/** The shop's backends: right and wrong calls, and a webhook whose answers hold secrets. */
export async function callBackends(at: CanaryFleet): Promise<void> {
  const { set, apiPort: port, apiKey: key, shop } = at;
  let answers = 0;
  shop.mood = () => {
    const body = JSON.stringify({ error: set.word("answer of a webhook"), stack: set.word("answer of a webhook") });
    const statuses = [500, 400, 302, 429, 200];
    return { status: answers < 20 ? (statuses[answers++ % statuses.length] ?? 200) : 204, body };
  };
  const user = "/v1/users/bob-0";
  const word = (sort: string) => set.word(sort);
  const from = "svc:shop";
  const calls: [path: string, body: object][] = [
    ["/v1/messages", { from, to: "bob-0", contentType: "text/plain", content: word("message body") }],
    ["/v1/messages", { from, to: "bob-0", contentType: "text/plain", content: [word("wrong body of a call")] }],
    ["/v1/messages", { [word("wrong body of a call")]: 1 }],
    ["/v1/notifications", { from, to: "bob-0", kind: "order.paid", title: word("title"), facts: { id: word("fact") } }],
    ["/v1/cards", cardOf(from, word("text of a card"), word("text of a card"))],
    ["/v1/groups", { actor: from, name: word("name of a group"), userIds: ["bob-0"] }],
    ["/v1/broadcasts", broadcastOf(word("text of a broadcast"))],
    [`${user}/mute`, { forMs: 1000, reason: word("reason of a mute") }],
    [`${user}/kick`, { slot: "desktop", reason: word("reason of a kick") }],
    ["/v1/holds", { userId: "bob-0", reason: word("reason of a hold") }],
    ["/v1/tokens/revoke", { tokenId: word("id of a token") }],
    ["/v1/orders", { buyerId: "bob-0", sellerId: "alice-0", orderId: word("order"), open: true }],
  ];
  for (const [path, body] of calls) await callApi(port, { method: "POST", path, body, key });
  for (const path of [`${user}/devices`, `${user}/conversations`, "/v1/reports?state=all", "/v1/audit", "/v1/hooks"])
    await callApi(port, { method: "GET", path, key });
  const wrong: [path: string, key: string][] = [
    ["/v1/audit", word("wrong API key")],
    ["/v1/audit", `${key.slice(0, -8)}${word("wrong API key")}`],
    [`/v1/${word("path")}?${word("query")}=${word("query")}`, key],
    [`/v1/presence?userId=${word("query")}%0a%1b[31m`, key],
  ];
  for (const [path, given] of wrong) await callApi(port, { method: "GET", path, key: given });
  const text = `{"from":"${word("wrong body of a call")}`;
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "x-shop": word("header") };
  await fetch(`http://127.0.0.1:${port}/v1/messages`, { method: "POST", headers, body: text });
}

const broadcastOf = (content: string): object => ({
  ...{ contentType: "text/plain", content, audience: "all", notAfterMs: 8_000_000_000_000 },
});

const cardOf = (from: string, title: string, label: string): object => ({
  ...{ from, to: "bob-0" },
  card: { type: "order", ref: "o-1", version: 1, snapshot: { title }, actions: [{ id: "pay", label }] },
});

/** Runs a command with JSON lines on stdin; resolves with everything that it printed. */
function runTool(args: string[], env: Record<string, string>, lines: readonly object[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env: { PATH: process.env.PATH, ...env }, timeout: WAIT_MS });
    let out = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (out += part));
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve(out) : reject(new Error(`${args.join(" ")}: ${code}`))));
    child.stdin.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  });
}
