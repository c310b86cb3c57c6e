// SPDX-License-Identifier: Apache-2.0
// Both ways into the API lead to the same operations, and are answered alike.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { GrpcStatus } from "#lib/grpc-status.ts";
import { makeKey } from "./api-key.ts";
import { TestApi } from "./api-kit.ts";
import { type ExampleFacts, exampleCalls } from "./example-calls.ts";
import { type GrpcTwinListener, startGrpcTwin } from "./grpc-twin.ts";
import { definition, messageOf, TwinClient } from "./grpc-twin-kit.ts";
import type { Operation } from "./operation.ts";
import { OPERATIONS } from "./operations/index.ts";
import { methodName, protoText } from "./proto-text.ts";
import { fromProto, toProto } from "./proto-values.ts";
import { object } from "./schema.ts";

describe("the gRPC twin of the server API", () => {
  let api: TestApi;
  let listener: GrpcTwinListener;
  let client: TwinClient;
  let key: string;
  let facts: ExampleFacts;
  before(async () => {
    api = await new TestApi().start();
    key = await api.key();
    listener = await startGrpcTwin({ port: 0, operations: OPERATIONS, desk: api.desk, tls: undefined });
    client = new TwinClient(listener.port);
    const [userId, service] = ["bob", "svc:shop"];
    const post = async (path: string, body: object) => (await api.call({ method: "POST", path, key, body })).body;
    const sent = await post("/v1/messages", { from: service, to: userId, contentType: "text/plain", content: "hello" });
    const card = { type: "order", ref: "order-1", version: 1, snapshot: { state: "new" } };
    await post("/v1/cards", { from: service, to: userId, card });
    const group = await post("/v1/groups", { actor: service, name: "team", userIds: [userId] });
    const sale = { contentType: "text/plain", content: "sale", notAfterMs: 8_000_000_000_000 };
    const told = await post("/v1/broadcasts", { ...sale, audience: "users", userIds: [userId] });
    facts = {
      broadcastId: String(told.broadcastId),
      reportNumber: await api.report(userId, "mallory"),
      ...{ userId, service, cardRef: "order-1", groupId: String(group.groupId) },
      ...{ conversationId: String(sent.conversationId), messageId: String(sent.messageId) },
    };
  });
  after(async () => {
    client.close();
    await listener.close();
    api.close();
  });

  it("has a method for every operation, and no other", () => {
    assert.deepEqual(Object.keys(definition).sort(), OPERATIONS.map(({ id }) => methodName(id)).sort());
  });

  for (const operation of OPERATIONS) {
    it(`${operation.id} is answered as over HTTP`, async () => {
      const call = exampleCalls(facts)[operation.id];
      assert.ok(call);
      api.clock.advance(100);
      // The same key of idempotency: what was done over HTTP is not done again, but told.
      const idempotencyKey = randomUUID();
      const overHttp = await api.call({ ...call, key, ...(call.method === "GET" ? {} : { idempotencyKey }) });
      const request = messageOf(operation, call);
      const overGrpc = await client.call(methodName(operation.id), request, { key, idempotencyKey });
      assert.equal(overGrpc.status, 0, overGrpc.details);
      assert.ok(overHttp.status < 300, JSON.stringify(overHttp.body));
      assert.equal(overGrpc.isReplay, call.method !== "GET");
      const { schema } = operation.reply;
      if (!schema || !("properties" in schema)) return;
      // A page of the log has grown by this very call; all else is the same.
      const shown = fromProto(schema, overGrpc.reply ?? {});
      if (operation.id === "readAudit") assert.ok(Array.isArray(shown.entries) && shown.entries.length > 0);
      else assert.deepEqual(shown, fromProto(schema, toProto(schema, overHttp.body)));
    });

    it(`${operation.id} is refused as over HTTP: without a key, with an unknown one, without the scope`, async () => {
      const call = exampleCalls(facts)[operation.id];
      assert.ok(call);
      const request = messageOf(operation, call);
      api.clock.advance(1000);
      const other = await api.key({ scopes: [operation.scope === "audit:read" ? "users:read" : "audit:read"] });
      for (const [caller, status] of [
        [undefined, GrpcStatus.UNAUTHENTICATED],
        [makeKey().text, GrpcStatus.UNAUTHENTICATED],
        [other, GrpcStatus.PERMISSION_DENIED],
      ] as const) {
        const overHttp = await api.call({ ...call, key: caller });
        const overGrpc = await client.call(methodName(operation.id), request, { key: caller });
        assert.equal(overGrpc.status, status, overGrpc.details);
        assert.deepEqual({ ...overGrpc.problem, instance: "" }, { ...overHttp.body, instance: "" });
        assert.equal(overGrpc.reply, undefined);
      }
    });
  }

  it("writes down what it does in the same log, and keeps tenants apart", async () => {
    const acme = await api.key({ tenant: "acme" });
    const request = { userId: "bob", conversationId: facts.conversationId };
    const hidden = await client.call("ReadHistory", request, { key: acme });
    assert.deepEqual([hidden.status, hidden.problem?.code], [GrpcStatus.NOT_FOUND, "not_found"]);
    const log = await client.call("ReadAudit", {}, { key: acme });
    const entries = log.reply?.entries as { operation: string; target: string; status: number }[];
    assert.deepEqual(
      entries.map(({ operation, target, status }) => [operation, target, status]),
      [["readHistory", `bob ${facts.conversationId}`, 404]],
    );
  });

  it("says what is wrong with a request, and with JSON that is none", async () => {
    const missing = await client.call("SendMessage", { from: "bob" }, { key });
    assert.deepEqual([missing.status, missing.problem?.code], [GrpcStatus.INVALID_ARGUMENT, "invalid"]);
    assert.match(missing.details, /^invalid: \/from must/);
    const card = { type: "order", ref: "r", version: 1, snapshotJson: "{" };
    const broken = await client.call("SendCard", { from: "svc:shop", to: "bob", card }, { key });
    assert.match(broken.details, /\/card\/snapshot must be an object/);
    const noKey = await client.call("UnmuteUser", { userId: "bob" }, { key, idempotencyKey: "not a key" });
    assert.match(noKey.details, /Idempotency-Key/);
    const odd = await client.call("ReadDevices", { userId: "../../audit?x=1" }, { key });
    assert.deepEqual([odd.status, odd.problem?.code], [GrpcStatus.INVALID_ARGUMENT, "invalid"]);
    const late = { from: "svc:shop", between: ["bob", "svc:shop"], ref: "order-1", version: 1, snapshotJson: "{}" };
    const stale = await client.call("ReportCardState", late, { key });
    assert.deepEqual([stale.status, stale.problem?.currentVersion], [GrpcStatus.FAILED_PRECONDITION, 2]);
  });

  it("limits the calls of a key together with HTTP", async () => {
    const small = await new TestApi(1).start();
    const twin = await startGrpcTwin({ port: 0, operations: OPERATIONS, desk: small.desk, tls: undefined });
    const caller = new TwinClient(twin.port);
    try {
      const own = await small.key();
      for (let at = 0; at < 2; at++) await small.call({ method: "GET", path: "/v1/users/bob/devices", key: own });
      const limited = await caller.call("ReadDevices", { userId: "bob" }, { key: own });
      assert.deepEqual([limited.status, limited.problem?.code], [GrpcStatus.RESOURCE_EXHAUSTED, "rate_limited"]);
    } finally {
      caller.close();
      await twin.close();
      small.close();
    }
  });
});

describe("the .proto file of the API", () => {
  const stored = readFileSync(new URL("../../proto/im/api/v1/server_api.proto", import.meta.url), "utf8");
  const reply = { status: 200, description: "", schema: object({}, [], "Nothing") } as const;
  const operationOf = (properties: Parameters<typeof object>[0]): Operation => ({
    ...{ id: "tryIt", method: "POST", path: "/v1/tries", summary: "Try", description: "", scope: "audit:read" },
    ...{ pathFields: object({}), queryFields: object({}), bodyFields: object(properties), reply, problems: [] },
    ...{ target: () => "", run: async () => ({ kind: "ok" }) },
  });
  const flag = { type: "boolean" } as const;
  const numbersOf = (text: string) => [...text.matchAll(/bool (\w+) = (\d+)/g)].map(([, name, id]) => `${name} ${id}`);

  it("is the one of the operations, whose numbers it keeps", () => {
    assert.equal(protoText(OPERATIONS, stored), stored, "run `make gen`");
  });

  it("gives new fields new numbers, and those that are gone to nobody", () => {
    const first = protoText([operationOf({ a: flag, b: flag })], "");
    assert.deepEqual(numbersOf(first), ["a 1", "b 2"]);
    const second = protoText([operationOf({ c: flag, b: flag })], first);
    assert.deepEqual(numbersOf(second), ["c 3", "b 2"]);
    assert.match(second, /reserved 1;/);
    const third = protoText([operationOf({ b: flag, d: flag })], second);
    assert.deepEqual(numbersOf(third), ["b 2", "d 4"]);
    assert.match(third, /reserved 1, 3;/);
  });

  it("refuses two fields of one name in a message", () => {
    const twice = { ...operationOf({ a: flag }), queryFields: object({ a: flag }) };
    assert.throws(() => protoText([twice], ""), /tryIt: two fields/);
  });
});
