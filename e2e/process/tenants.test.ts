// SPDX-License-Identifier: Apache-2.0
// Two tenants and the default one, whose users are called the same, on one fleet: nothing of one is anything to another.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { ImClientError, type Message } from "#client";
import { Groups, groupEventOf } from "../../client/src/models/groups.ts";
import { Safety } from "../../client/src/models/safety.ts";
import { SystemMessages } from "../../client/src/models/system-messages.ts";
import { fetchPresence } from "../../client/src/presence.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { callApi, createApiKey } from "./api-caller.ts";
import { login, targetOf, type User, useFleet, waitMessages } from "./fleet-suite.ts";

const WAIT_MS = 60_000;
const TENANTS = ["", "acme", "shop"] as const;
type Tenant = (typeof TENANTS)[number];

interface Person extends User {
  groups: Groups;
  news: string[];
}

/** Alice and bob of one tenant. */
interface Pair {
  alice: Person;
  bob: Person;
}

const apiPort = await freePort();

const isDenied = (error: unknown): boolean => error instanceof ImClientError && error.codeName === "PERMISSION_DENIED";
const isNoId = (error: unknown): boolean => error instanceof ImClientError && error.codeName === "BAD_REQUEST";

describe("clients of several tenants", () => {
  const fleet = useFleet({
    ...{ entries: 2, logics: 2, internalTls: true, env: { IM_PING_INTERVAL_MS: "2000" } },
    logicEnvOf: (index) => ({
      IM_PRESENCE_VISIBLE_TO: "peers",
      ...(index === 0 ? { IM_API_PORT: String(apiPort) } : {}),
    }),
  });
  const pairs = new Map<Tenant, Pair>();
  const of = (tenant: Tenant): Pair => pairs.get(tenant) ?? assert.fail();
  const each = <T>(run: (pair: Pair, tenant: Tenant) => Promise<T>): Promise<T[]> =>
    Promise.all(TENANTS.map((tenant) => run(of(tenant), tenant)));

  async function person(tenant: Tenant, name: string, at: number): Promise<Person> {
    const getToken = (): Promise<string> => fleet().tokens.mint(name, tenant === "" ? {} : { tenant });
    const news: string[] = [];
    const target = targetOf(fleet(), at === 0 ? "tls" : "wss", at);
    const user = await login(fleet(), name, target, { getToken }, (client) => {
      const system = new SystemMessages(client, { onMessage: ({ text }) => void news.push(text), spreadMs: 100 });
      client.on("state", ({ kind }) => {
        if (kind === "closed") system.close();
      });
    });
    return { ...user, news, groups: new Groups(user.client) };
  }

  before(async () => {
    for (const [at, tenant] of TENANTS.entries()) {
      const alice = await person(tenant, "alice", at % 2);
      pairs.set(tenant, { alice, bob: await person(tenant, "bob", (at + 1) % 2) });
    }
  });

  it("are who their tokens say, by the names that they know", () => {
    for (const tenant of TENANTS)
      assert.deepEqual([of(tenant).alice.client.userId, of(tenant).bob.client.userId], ["alice", "bob"]);
  });

  const conversations = new Map<Tenant, string>();

  it("write to whom they name in their own tenant, and read what was said there alone", async () => {
    await each(async ({ alice, bob }, tenant) => {
      const { conversationId } = await alice.client.send({ to: "bob", content: `of ${tenant}` });
      conversations.set(tenant, conversationId);
      await waitMessages(bob, 1, WAIT_MS);
      await bob.client.send({ to: "alice", content: `back in ${tenant}` });
      await waitMessages(alice, 1, WAIT_MS);
    });
    assert.equal(new Set(conversations.values()).size, TENANTS.length);
    const said = ({ sender, text }: Message): string => `${sender}: ${text}`;
    for (const tenant of TENANTS) {
      assert.deepEqual(of(tenant).bob.messages.map(said), [`alice: of ${tenant}`]);
      assert.deepEqual(of(tenant).alice.messages.map(said), [`bob: back in ${tenant}`]);
      const page = await of(tenant).bob.client.history(conversations.get(tenant) ?? "");
      assert.deepEqual(page.messages.map(said), [`alice: of ${tenant}`, `bob: back in ${tenant}`]);
    }
  });

  it("reach no conversation and no user of another tenant, however they are named", async () => {
    for (const tenant of TENANTS)
      for (const other of TENANTS.filter((one) => one !== tenant)) {
        const { client } = of(tenant).bob;
        const conversationId = conversations.get(other) ?? assert.fail();
        await assert.rejects(client.history(conversationId), isDenied);
        await assert.rejects(client.send({ conversationId, content: "hello?" }), isDenied);
        for (const to of [`${other}/alice`, `/alice`, `${other}/nobody`])
          await assert.rejects(client.send({ to, content: "hello?" }), isNoId);
        await assert.rejects(of(tenant).bob.groups.create({ userIds: [`${other}/alice`] }), isNoId);
        await assert.rejects(fetchPresence(client, [`${other}/alice`]), isNoId);
        await assert.rejects(new Safety(client).block([`${other}/alice`]), isNoId);
      }
  });

  it("have groups of their own, whose events and members they know by name", async () => {
    await each(async ({ alice, bob }, tenant) => {
      const { conversationId, userIds } = await alice.groups.create({
        name: `all of ${tenant}`,
        userIds: ["bob", "carol"],
      });
      assert.deepEqual([...userIds].sort(), ["bob", "carol"]);
      await waitMessages(bob, 2, WAIT_MS);
      const event = groupEventOf(bob.messages[1] ?? assert.fail());
      assert.deepEqual(
        [event?.kind, event?.actor, event?.users, event?.name],
        ["created", "alice", ["bob", "carol"], `all of ${tenant}`],
      );
      const members = await Array.fromAsync(bob.groups.members(conversationId));
      assert.deepEqual(
        members.map(({ userId, role }) => `${userId} ${role}`),
        ["alice owner", "bob member", "carol member"],
      );
      assert.deepEqual(
        (await Array.fromAsync(bob.groups.mine())).map(({ name }) => name),
        [`all of ${tenant}`],
      );
      for (const other of TENANTS.filter((one) => one !== tenant)) {
        await assert.rejects(of(other).bob.groups.info(conversationId), isDenied);
        await assert.rejects(of(other).alice.groups.invite(conversationId, ["bob"]), isDenied);
      }
    });
  });

  it("see who is online in their own tenant", async () => {
    const isOnline = async (tenant: Tenant): Promise<boolean> => {
      const [peer] = await fetchPresence(of(tenant).bob.client, ["alice"]);
      assert.equal(peer?.userId, "alice");
      return peer.online;
    };
    for (const tenant of TENANTS) await waitUntil("alice is online", () => isOnline(tenant), WAIT_MS);
    await of("acme").alice.client.close();
    await waitUntil("alice of acme is offline", async () => !(await isOnline("acme")), WAIT_MS);
    assert.deepEqual([await isOnline(""), await isOnline("shop")], [true, true]);
  });

  it("block in their own tenant", async () => {
    const { alice, bob } = of("shop");
    assert.deepEqual(await new Safety(bob.client).block(["alice"]), ["alice"]);
    const before = [of("").bob.messages.length, bob.messages.length];
    await alice.client.send({ to: "bob", content: "are you there?" });
    await of("").alice.client.send({ to: "bob", content: "are you there?" });
    await waitMessages(of("").bob, (before[0] ?? 0) + 1, WAIT_MS);
    assert.equal(bob.messages.length, before[1]);
    assert.deepEqual(await new Safety(of("").bob.client).blocked(), []);
  });

  it("are told what their own shop's backend says, to all or to one", async () => {
    for (const tenant of TENANTS) {
      const key = await createApiKey(fleet().postgresUrl, ["broadcasts:manage", "messages:send"], tenant);
      const post = async (path: string, body: object): Promise<void> => {
        const { status, body: answer } = await callApi(apiPort, { method: "POST", path, key, body });
        assert.ok(status < 300, JSON.stringify(answer));
      };
      const content = `news of ${tenant}`;
      const said = { contentType: "text/plain", content };
      await post("/v1/broadcasts", { ...said, audience: "all", urgent: true, notAfterMs: Date.now() + 3_600_000 });
      await post("/v1/messages", { from: "svc:desk", to: "bob", ...said });
    }
    for (const tenant of TENANTS) {
      const { bob } = of(tenant);
      const shown = [`news of ${tenant}`];
      await waitUntil("the news", () => bob.news.length > 0, WAIT_MS);
      await waitUntil("the message", () => bob.messages.some(({ sender }) => sender === "svc:desk"), WAIT_MS);
      const told = bob.messages.filter(({ sender }) => sender === "svc:desk").map(({ text }) => text);
      assert.deepEqual([bob.news, told], [shown, shown]);
    }
  });

  it("keep what they have when they log in again, through another logic and entry", async () => {
    for (const [at, tenant] of TENANTS.entries()) {
      const again = await person(tenant, "bob", at % 2);
      const page = await again.client.history(conversations.get(tenant) ?? "");
      assert.deepEqual(
        page.messages.slice(0, 2).map(({ sender }) => sender),
        ["alice", "bob"],
      );
      for (const { text } of again.messages)
        for (const other of TENANTS.filter((one) => one !== tenant && one !== ""))
          assert.ok(!text.includes(other), `${tenant} was shown: ${text}`);
    }
  });
});
