// SPDX-License-Identifier: Apache-2.0
// Every operation x every kind of caller: no cell is left out.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { makeKey, SCOPES } from "./api-key.ts";
import { TestApi } from "./api-kit.ts";
import { type ExampleFacts, exampleCalls, HIDDEN, WHOLE_CLUSTER } from "./example-calls.ts";
import { openApiDocument } from "./openapi.ts";
import type { Operation } from "./operation.ts";
import { OPERATIONS } from "./operations/index.ts";
import { fits } from "./validate.ts";

const CALLERS = [
  "no key",
  "bad key",
  "unknown key",
  "expired",
  "revoked",
  "other scope",
  "other tenant",
  "right",
] as const;
type Caller = (typeof CALLERS)[number];

describe("the API's matrix of callers", () => {
  let api: TestApi;
  let facts: ExampleFacts;
  before(async () => {
    api = await new TestApi().start();
    const key = await api.key();
    const [userId, service] = ["bob", "svc:shop"];
    const body = { from: service, to: userId, contentType: "text/plain", content: "first" };
    const sent = await api.call({ method: "POST", path: "/v1/messages", key, body });
    assert.equal(sent.status, 201, JSON.stringify(sent.body));
    const { conversationId, messageId } = sent.body;
    const cardRef = "order-1";
    const card = { type: "order", ref: cardRef, version: 1, snapshot: { state: "new" } };
    const shown = await api.call({ method: "POST", path: "/v1/cards", key, body: { from: service, to: userId, card } });
    assert.equal(shown.status, 201, JSON.stringify(shown.body));
    const group = { actor: service, name: "team", userIds: [userId] };
    const made = await api.call({ method: "POST", path: "/v1/groups", key, body: group });
    const groupId = String(made.body.groupId);
    const list = { contentType: "text/plain", content: "first", audience: "users", userIds: [userId] };
    const sale = { ...list, notAfterMs: 8_000_000_000_000 };
    const told = await api.call({ method: "POST", path: "/v1/broadcasts", key, body: sale });
    const broadcastId = String(told.body.broadcastId);
    const reportNumber = await api.report(userId, "mallory");
    facts = {
      ...{ broadcastId, reportNumber },
      ...{ userId, service, conversationId: String(conversationId), messageId: String(messageId), groupId, cardRef },
    };
  });
  after(() => api.close());

  async function keyOf(caller: Caller, { scope }: Operation): Promise<string | undefined> {
    switch (caller) {
      case "no key":
        return undefined;
      case "bad key":
        return `${(await api.key()).slice(0, 17)}${makeKey().secret}`;
      case "unknown key":
        return makeKey().text;
      case "expired":
        return await api.key({ expiresMs: api.clock.wallMs() - 1 });
      case "revoked": {
        const key = await api.key();
        await api.store.serverApi.revokeKey(key.slice(4, 16));
        return key;
      }
      case "other scope":
        return await api.key({ scopes: SCOPES.filter((other) => other !== scope) });
      case "other tenant":
        return await api.key({ scopes: [scope], tenant: "acme" });
      case "right":
        return await api.key({ scopes: [scope] });
    }
  }

  function statusOf(caller: Caller, { id, reply }: Operation): number {
    if (caller === "other scope") return 403;
    if (caller === "right") return reply.status;
    if (caller === "other tenant" && WHOLE_CLUSTER.includes(id)) return 403;
    if (caller === "other tenant") return HIDDEN.includes(id) ? 404 : reply.status;
    return 401;
  }

  it("has an example of every operation, and of nothing else", () => {
    const ids = OPERATIONS.map(({ id }) => id);
    assert.deepEqual(Object.keys(exampleCalls(facts)).sort(), ids.toSorted());
    assert.equal(new Set(ids).size, ids.length);
  });

  for (const operation of OPERATIONS)
    for (const caller of CALLERS)
      it(`${operation.id} x ${caller}`, async () => {
        // Keys that nobody knows are looked up so many times a second.
        api.clock.advance(100);
        const call = exampleCalls(facts)[operation.id];
        assert.ok(call);
        // Unknown keys of so many cells would use up the allowance for them.
        api.clock.advance(100);
        const answer = await api.call({ ...call, key: await keyOf(caller, operation) });
        assert.equal(answer.status, statusOf(caller, operation), JSON.stringify(answer.body));
        if (answer.status < 300 && operation.reply.schema)
          assert.ok(fits(operation.reply.schema, answer.body), JSON.stringify(answer.body));
        if (answer.status < 300) return;
        const isCluster = caller === "other tenant" && WHOLE_CLUSTER.includes(operation.id);
        const codes: Record<number, string> = { 401: "unauthenticated", 403: "forbidden", 404: "not_found" };
        assert.equal(answer.body.code, isCluster ? "not_allowed" : codes[answer.status]);
        assert.equal(answer.headers["content-type"], "application/problem+json");
        assert.ok(!JSON.stringify(answer.body).includes("first"), "nothing of the message is told");
      });

  it("gives another tenant the same answer for what is there and what is not", async () => {
    const key = await api.key({ tenant: "acme" });
    const shape = ({ body: { instance: _, ...rest }, ...answer }: Awaited<ReturnType<TestApi["call"]>>) => [
      answer,
      rest,
    ];
    for (const id of HIDDEN) {
      const absent = {
        ...facts,
        groupId: randomUUID(),
        broadcastId: randomUUID(),
        cardRef: randomUUID(),
        reportNumber: facts.reportNumber + 1000,
        conversationId: randomUUID(),
        messageId: randomUUID(),
      };
      const [there, not] = [exampleCalls(facts)[id], exampleCalls(absent)[id]];
      assert.ok(there && not);
      assert.deepEqual(shape(await api.call({ ...there, key })), shape(await api.call({ ...not, key })));
    }
    const shown = await api.call({ method: "GET", path: "/v1/audit", key });
    const entries = shown.body.entries as { target: string }[];
    assert.ok(entries.length > 0 && entries.every(({ target }) => !target.includes("svc:")));
  });

  it("does not let one tenant touch another one's users", async () => {
    const login = await api.entry.login(1, "carol");
    assert.equal(login.kind, "ok");
    const [theirs, ours] = [await api.key({ tenant: "acme" }), await api.key()];
    const kick = { method: "POST", path: "/v1/users/carol/kick", body: {} };
    assert.deepEqual((await api.call({ ...kick, key: theirs })).body, { sessions: 0 });
    const devices = { method: "GET", path: "/v1/users/carol/devices" };
    assert.deepEqual((await api.call({ ...devices, key: theirs })).body, {
      userId: "carol",
      online: false,
      devices: [],
    });
    assert.equal((await api.call({ ...devices, key: ours })).body.online, true);
    assert.deepEqual((await api.call({ ...kick, key: ours })).body, { sessions: 1 });
    assert.match((await api.entry.kicked(1)).reason, /closed by the service/);
  });

  it("documents every status that a cell may answer", () => {
    const { paths } = openApiDocument(OPERATIONS) as { paths: Record<string, Record<string, { responses: object }>> };
    for (const { id, path, method, reply } of OPERATIONS) {
      const responses = Object.keys(paths[path]?.[method.toLowerCase()]?.responses ?? {});
      const wanted = [reply.status, 400, 401, 403, 429, 431, 500, 503, ...(HIDDEN.includes(id) ? [404] : [])];
      for (const status of wanted) assert.ok(responses.includes(String(status)), `${id} ${status}`);
    }
  });
});
