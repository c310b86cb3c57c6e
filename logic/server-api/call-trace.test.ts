// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RecordKind } from "#proto/uplink/record.ts";
import { TestApi } from "./api-kit.ts";
import { startGrpcTwin } from "./grpc-twin.ts";
import { TwinClient } from "./grpc-twin-kit.ts";
import { OPERATIONS } from "./operations/index.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";
const TRACEPARENT = `00-${TRACE_ID}-${CALLER}-01`;

/** The API, whose tracer chooses nothing by itself; a key; and a message to somebody. */
async function setUp() {
  const api = await new TestApi().start();
  const key = await api.key();
  const message = (to: string, more: { traceparent?: string; idempotencyKey?: string } = {}) => ({
    ...{ method: "POST", path: "/v1/messages", key, ...more },
    body: { from: "svc:shop", to, contentType: "text/plain", content: "hello" },
  });
  const { tracer } = api;
  /** Stages with the one they are under: a stage, the caller's span, or nothing. */
  const tree = (): string[] =>
    tracer.spans.map(({ stage, parent }) => {
      const above = tracer.spans.find(({ context }) => context.spanId === parent?.spanId)?.stage;
      return `${stage} < ${above ?? parent?.spanId ?? ""}`;
    });
  return { api, key, message, tracer, tree };
}

describe("a traced call of the server API", () => {
  it("goes on in the caller's trace: the call, the store, the delivery to the entry", async () => {
    const { api, message, tracer, tree } = await setUp();
    await api.entry.login(1, "bob");
    const { body } = await api.call(message("bob", { traceparent: TRACEPARENT }));
    await api.entry.next(RecordKind.TRACED, { conn: 1, aux: 1 });
    assert.deepEqual(tree(), [`send < ${CALLER}`, "store < send", "route < send"]);
    assert.ok(tracer.spans.every(({ context }) => context.traceId === TRACE_ID));
    assert.deepEqual(tracer.ended.toSorted(), ["route", "send", "store"]);
    assert.deepEqual(tracer.spans[0]?.facts, {
      "im.operation": "sendMessage",
      "im.result": "stored",
      "messaging.message.body.size": 5,
      "messaging.message.id": body.messageId,
    });
    api.close();
  });

  it("begins one of its own where the ratio chooses it, also when the header cannot be read", async () => {
    const { api, message, tracer, tree } = await setUp();
    await api.call(message("bob"));
    assert.deepEqual(tree(), []);
    tracer.samples = true;
    for (const traceparent of [undefined, "nonsense", `00-${"0".repeat(32)}-${CALLER}-01`]) {
      tracer.spans.length = 0;
      assert.equal((await api.call(message("bob", traceparent === undefined ? {} : { traceparent }))).status, 201);
      assert.deepEqual(tree(), ["send < ", "store < send", "route < send"], traceparent);
    }
    api.close();
  });

  it("is none when the caller records nothing, or names more traces than fit into this second", async () => {
    const { api, message, tracer, tree } = await setUp();
    tracer.samples = true;
    await api.call(message("bob", { traceparent: `00-${TRACE_ID}-${CALLER}-00` }));
    tracer.continues = false;
    await api.call(message("bob", { traceparent: TRACEPARENT }));
    assert.deepEqual(tree(), []);
    api.close();
  });

  it("is in the trace once, however often it is repeated", async () => {
    const { api, message, tracer } = await setUp();
    const call = message("bob", { traceparent: TRACEPARENT, idempotencyKey: "again" });
    const [first, second] = [await api.call(call), await api.call(call)];
    assert.deepEqual([second.body, second.headers["idempotent-replayed"]], [first.body, "true"]);
    assert.equal(tracer.spans.filter(({ stage }) => stage === "send").length, 1);
    api.close();
  });

  it("says what went wrong", async () => {
    const { api, key, tracer } = await setUp();
    const body = { from: "svc:shop", conversationId: "none", contentType: "text/plain", content: "x" };
    const call = { method: "POST", path: "/v1/messages", key, body, traceparent: TRACEPARENT };
    assert.equal((await api.call(call)).status, 404);
    assert.deepEqual(tracer.ended, ["store", "send not_found"]);
    api.close();
  });

  it("may be a notification or a broadcast; nothing else is traced", async () => {
    const { api, key, tracer, tree } = await setUp();
    const post = (path: string, body: object) =>
      api.call({ method: "POST", path, key, body, traceparent: TRACEPARENT }).then(({ status }) => status);
    const facts = { from: "svc:orders", to: "bob", kind: "order.paid", title: "Paid" };
    assert.equal(await post("/v1/notifications", facts), 201);
    assert.deepEqual(tree(), [`send < ${CALLER}`, "store < send", "route < send"]);
    tracer.spans.length = 0;
    const sale = { contentType: "text/plain", content: "sale", audience: "all" };
    assert.equal(await post("/v1/broadcasts", { ...sale, notAfterMs: api.clock.wallMs() + 60_000 }), 201);
    assert.deepEqual(tree(), [`announce < ${CALLER}`, "storeBroadcast < announce"]);
    assert.equal(tracer.spans[0]?.facts["im.operation"], "createBroadcast");
    tracer.spans.length = 0;
    assert.equal(await post("/v1/users/bob/muted-topics", { topics: [] }), 204);
    assert.deepEqual(tree(), []);
    api.close();
  });

  it("may come over gRPC", async () => {
    const { api, key, tracer } = await setUp();
    const twin = await startGrpcTwin({ port: 0, operations: OPERATIONS, desk: api.desk, tls: undefined });
    const client = new TwinClient(twin.port);
    const request = { from: "svc:shop", to: "bob", contentType: "text/plain", content: "hello" };
    const { status, details } = await client.call("SendMessage", request, { key, traceparent: TRACEPARENT });
    assert.equal(status, 0, details);
    assert.deepEqual(tracer.spans[0]?.parent, { traceId: TRACE_ID, spanId: CALLER });
    client.close();
    await twin.close();
    api.close();
  });
});
