// SPDX-License-Identifier: Apache-2.0
// Every operation x everybody in whose name it may be called: no cell is left out.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, describe, it } from "node:test";
import { directConversationId } from "../send/conversation.ts";
import { type TestAnswer, TestApi } from "./api-kit.ts";
import { ROLE_ROWS, ROLES, type Role, type RoleRow } from "./api-roles-kit.ts";
import { type ExampleFacts, exampleCalls } from "./example-calls.ts";
import { OPERATIONS } from "./operations/index.ts";

const SECRETS = ["the secret that was said", "the secret name"] as const;
const CARD_REF = "order-1";
const ACCOUNTS: Readonly<Record<Role, string>> = {
  ...{ owner: "svc:owner", member: "svc:member", exMember: "svc:ex", stranger: "svc:stranger", service: "svc:shop" },
  blocked: "svc:blocked",
  ...{ otherTenant: "svc:owner", anonymous: "svc:owner" },
};

const SALE = { contentType: "text/plain", notAfterMs: 8_000_000_000_000 };

/** The API over a store whose reads and writes are counted, and a group with a secret. */
class World {
  readonly api = new TestApi();
  readonly #asked: string[] = [];
  groupId = "";
  messageId = "";
  broadcastId = "";
  reportNumber = 0;

  async open(): Promise<this> {
    await this.api.start();
    const { store } = this.api;
    const parts = {
      store,
      ...{ groups: store.groups, conversations: store.conversations, traces: store.traces, changes: store.changes },
      ...{ broadcasts: store.broadcasts, policy: store.policy, exports: store.exports },
    };
    for (const [name, part] of Object.entries(parts)) this.#count(name, part);
    const userIds = ["svc:member", "svc:ex", "bob"];
    const made = await this.must("POST", "/v1/groups", { actor: "svc:owner", name: "team", userIds });
    this.groupId = String(made.body.groupId);
    const block = [{ peerId: "svc:blocked", conversationId: directConversationId("bob", "svc:blocked") }];
    await store.blocks.change({ userId: "bob", block, unblock: [], atMs: this.api.clock.wallMs() });
    await this.must("POST", `/v1/groups/${this.groupId}/members/remove`, { actor: "svc:owner", userIds: ["svc:ex"] });
    await this.must("POST", `/v1/groups/${this.groupId}/name`, { actor: "svc:owner", name: SECRETS[1] });
    const message = { from: "svc:owner", conversationId: this.groupId, contentType: "text/plain", content: SECRETS[0] };
    const card = { type: "order", ref: CARD_REF, version: 1, snapshot: { about: SECRETS[0] } };
    await this.must("POST", "/v1/cards", { from: "svc:owner", conversationId: this.groupId, card });
    const list = { ...SALE, content: "sale", audience: "users", userIds: ["bob"] };
    this.broadcastId = String((await this.must("POST", "/v1/broadcasts", list)).body.broadcastId);
    this.messageId = String((await this.must("POST", "/v1/messages", message)).body.messageId);
    this.reportNumber = await this.api.report("bob", "svc:stranger");
    return this;
  }

  async must(method: string, path: string, body: object): Promise<TestAnswer> {
    const answer = await this.api.call({ method, path, body, key: await this.api.key() });
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer;
  }

  /** Names of what was asked of the store since the last time. */
  asked(): string[] {
    return this.#asked.splice(0);
  }

  #count(name: string, part: object): void {
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(part)).filter((key) => key !== "constructor");
    for (const method of methods) {
      const value: unknown = Reflect.get(part, method);
      if (typeof value !== "function") continue;
      const counted = (...args: unknown[]): unknown => {
        this.#asked.push(`${name}.${method}`);
        return Reflect.apply(value, part, args);
      };
      Object.defineProperty(part, method, { value: counted });
    }
  }
}

describe("the API's matrix of roles", () => {
  const worlds: World[] = [];
  let cells = 0;
  after(() => {
    console.log(`${cells} cells of ${ROLE_ROWS.length} uses and ${ROLES.length} roles`);
    for (const { api } of worlds) api.close();
  });

  it("has a row for every operation, and for nothing else", () => {
    const rows = new Set(ROLE_ROWS.map(({ id }) => id));
    const missing = OPERATIONS.map(({ id }) => id).filter((id) => !rows.has(id));
    assert.deepEqual(missing, [], "add rows to api-roles-kit.ts: in whose name the operation may be called");
    assert.equal(rows.size, OPERATIONS.length);
    const names = ROLE_ROWS.map(({ id, use }) => `${id} ${use}`);
    assert.equal(new Set(names).size, names.length);
  });

  function factsOf(world: World, { subject }: RoleRow, role: Role): ExampleFacts {
    const { groupId, messageId, broadcastId, reportNumber } = world;
    const [service, userId] =
      subject === "actor" ? [ACCOUNTS[role], "bob"] : ["svc:owner", subject === "user" ? ACCOUNTS[role] : "bob"];
    const ids = { groupId, messageId, conversationId: groupId, cardRef: CARD_REF, broadcastId, reportNumber };
    return { service, userId, ...ids };
  }

  async function call(world: World, row: RoleRow, role: Role, facts: ExampleFacts) {
    const example = row.call?.(facts) ?? exampleCalls(facts)[row.id];
    assert.ok(example);
    const key =
      role === "anonymous" ? undefined : await world.api.key(role === "otherTenant" ? { tenant: "acme" } : {});
    world.asked();
    const answer = await world.api.call({ ...example, key });
    const text = JSON.stringify([answer.status, { ...answer.body, instance: "" }]);
    return { answer, asked: world.asked(), text };
  }

  async function check(row: RoleRow, role: Role): Promise<void> {
    const world = await new World().open();
    worlds.push(world);
    const facts = factsOf(world, row, role);
    const { answer, asked, text } = await call(world, row, role, facts);
    const isOutside = role === "otherTenant" || role === "anonymous";
    if (row.showsAll ? isOutside : role !== "owner" && role !== "member")
      for (const secret of SECRETS) assert.ok(!text.includes(secret), `it says: ${secret}`);
    switch (row.expect[role]) {
      case "done":
        assert.ok(answer.status < 300, text);
        return;
      case "unauthenticated":
        assert.equal(answer.status, 401, text);
        assert.deepEqual(asked, []);
        return;
      case "refused":
        assert.deepEqual([answer.status, answer.body.code], [403, "not_allowed"], text);
        return;
      case "hidden": {
        const absent = {
          ...facts,
          groupId: randomUUID(),
          conversationId: randomUUID(),
          messageId: randomUUID(),
          broadcastId: "b-0",
          reportNumber: 1_000_000,
        };
        const unknown = await call(world, row, role, absent);
        assert.deepEqual([answer.status, answer.body.code], [404, "not_found"], text);
        assert.equal(text, unknown.text);
        assert.notDeepEqual(asked, [], "nothing was counted");
        assert.deepEqual(asked, unknown.asked, "the same reads take the same time");
      }
    }
  }

  for (const row of ROLE_ROWS)
    for (const role of ROLES)
      it(`${row.id} ${row.use} x ${role}: ${row.expect[role]}`, async () => {
        await check(row, role);
        cells++;
      });
});
