// SPDX-License-Identifier: Apache-2.0
// The API for the shop's backends against a whole fleet of real processes.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { DisconnectCode } from "#lib/codes.ts";
import { GrpcStatus } from "#lib/grpc-status.ts";
import { Safety } from "../../client/src/models/index.ts";
import { makeKey, SCOPES } from "../../logic/server-api/api-key.ts";
import { type ExampleFacts, exampleCalls, HIDDEN, WHOLE_CLUSTER } from "../../logic/server-api/example-calls.ts";
import { messageOf, TwinClient } from "../../logic/server-api/grpc-twin-kit.ts";
import { OPERATIONS } from "../../logic/server-api/operations/index.ts";
import { methodName } from "../../logic/server-api/proto-text.ts";
import { fromProto, type ProtoValue, toProto } from "../../logic/server-api/proto-values.ts";
import { fits } from "../../logic/server-api/validate.ts";
import { waitWithin } from "../harness/cpu-wait.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { type ApiReply, apiKeys, callApi, createApiKey } from "./api-caller.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

const WAIT_MS = 30_000;
/** A revoked key works no longer than this. */
const REVOKED_MS = 5000;

const [port, grpcPort] = [await freePort(), await freePort()];
/** Short enough that a process that stands still has not answered. */
const SHORT_MS = 300;
const folder = temporaryFolder("im-api-keys-");
const keysFile = join(folder, "keys.json");
const cardKeysFile = join(folder, "card-keys");
const fileKey = makeKey();
writeFileSync(keysFile, JSON.stringify([{ key: fileKey.text, name: "from a Secret", scopes: ["users:read"] }]));
writeFileSync(cardKeysFile, `k1 ${randomBytes(32).toString("base64")}\n`);

describe("the server API", () => {
  const files = { IM_API_KEYS_FILE: keysFile, IM_CARD_KEYS_FILE: cardKeysFile };
  const logicEnv = { IM_API_PORT: String(port), IM_API_GRPC_PORT: String(grpcPort), ...files };
  const fleet = useFleet({ entries: 1, logics: 1, extlogics: 1, logicEnv });
  const target = () => targetOf(fleet(), "tls", 0);
  const twin = new TwinClient(grpcPort);
  after(() => twin.close());
  let shared: Promise<string> | undefined;
  /** One with every scope of the default tenant, for all tests. */
  const allKey = (): Promise<string> => {
    shared ??= createApiKey(fleet().postgresUrl, SCOPES);
    return shared;
  };
  /** The number of a report that a user made of another one. */
  async function reportBy(userId: string): Promise<number> {
    const { client } = await login(fleet(), userId, target());
    await new Safety(client).report({ reason: "fraud", userId: "mallory" });
    await client.close();
    const { body } = await callApi(port, { method: "GET", path: "/v1/reports", key: await allKey() });
    const [report] = body.reports as { number: number }[];
    assert.ok(report, JSON.stringify(body));
    return report.number;
  }
  const message = (to: string, content = "hello") => ({
    ...{ method: "POST", path: "/v1/messages" },
    body: { from: "svc:shop", to, contentType: "text/plain", content },
  });

  it("sends as a service account: a client gets it, answers, and the ledger tells", async () => {
    const [key, bob] = [await allKey(), await login(fleet(), "api-bob", target())];
    const sent = await callApi(port, { ...message("api-bob"), key });
    assert.equal(sent.status, 201, JSON.stringify(sent.body));
    await waitMessages(bob, 1);
    assert.deepEqual([bob.messages[0]?.sender, bob.messages[0]?.text], ["svc:shop", "hello"]);
    await bob.client.send({ to: "svc:shop", content: "thanks" });
    const { conversationId, messageId } = sent.body;
    const history = await callApi(port, {
      ...{ method: "GET", key, path: `/v1/users/api-bob/conversations/${String(conversationId)}/messages` },
    });
    const messages = history.body.messages as { content: string; from: string }[];
    assert.deepEqual(
      messages.map(({ from, content }) => [from, content]),
      [
        ["svc:shop", "hello"],
        ["api-bob", "thanks"],
      ],
    );
    const path = `/v1/users/api-bob/messages/${String(messageId)}`;
    await waitUntil(
      "the ledger says that it was acknowledged",
      async () => {
        const { body } = await callApi(port, { method: "GET", path, key });
        const receivers = body.receivers as { userId: string; state: string }[];
        return receivers.some(({ userId, state }) => userId === "api-bob" && state === "acknowledged");
      },
      WAIT_MS,
    );
    await bob.client.close();
  });

  it("knows where a user is, kicks it, and keeps its old tokens out", async () => {
    const [key, carol] = [await allKey(), await login(fleet(), "api-carol", target())];
    const { body } = await callApi(port, { method: "GET", path: "/v1/users/api-carol/devices", key });
    const [device] = body.devices as { deviceId: string; online: boolean; entry: string; slot: string }[];
    assert.deepEqual([body.online, device?.deviceId, device?.slot], [true, "api-carol-device", "mobile"]);
    assert.ok(device?.entry.startsWith(fleet().entry(0).podUid));
    const kicked = await callApi(port, { method: "POST", path: "/v1/users/api-carol/kick", key, body: {} });
    assert.deepEqual(kicked.body, { sessions: 1 });
    await waitUntil("the client is closed", () => carol.client.state.kind === "closed", WAIT_MS);
    assert.ok(carol.client.state.kind === "closed" && carol.client.state.code === DisconnectCode.EVICTED);
    const presence = { method: "GET", path: "/v1/presence?userId=api-carol&userId=nobody", key };
    await waitUntil(
      "it is offline",
      async () => {
        const { users } = (await callApi(port, presence)).body as { users: { online: boolean }[] };
        return users.length === 2 && users.every(({ online }) => !online);
      },
      WAIT_MS,
    );
    const ahead = Date.now() + 60_000;
    const revoke = { method: "POST", path: "/v1/users/api-carol/revoke", key, body: { validAfterMs: ahead } };
    assert.equal((await callApi(port, revoke)).status, 204);
    await assert.rejects(login(fleet(), "api-carol", target()));
  });

  it("does a repeated call once, also when the process was killed in between", async () => {
    const [key, idempotencyKey] = [await allKey(), randomUUID()];
    const call = { ...message("api-dave"), key, idempotencyKey };
    const first = await callApi(port, call);
    await fleet().logic(0).kill9();
    await fleet().logic(0).start();
    await fleet().logic(0).waitReady();
    const again = await callApi(port, call);
    assert.deepEqual([again.status, again.body], [201, first.body]);
    assert.equal(again.headers.get("idempotent-replayed"), "true");
    const other = await callApi(port, { ...call, ...message("api-dave", "other") });
    assert.deepEqual([other.status, other.body.code], [409, "conflict"]);
    const dave = await login(fleet(), "api-dave", target());
    await waitMessages(dave, 1);
    await callApi(port, { ...message("api-dave", "last"), key });
    await waitMessages(dave, 2);
    assert.deepEqual(
      dave.messages.map(({ text }) => text),
      ["hello", "last"],
    );
    await dave.client.close();
  });

  it("puts an order card into a conversation and keeps it at its newest state, for a client that comes later, too", async () => {
    const [key, buyer] = [await allKey(), await login(fleet(), "api-card", target())];
    const card = { type: "order", ref: "o-77", version: 1, snapshot: { state: "new" } };
    const body = { from: "svc:shop", to: "api-card", card };
    const sent = await callApi(port, { method: "POST", path: "/v1/cards", key, body });
    assert.equal(sent.status, 201, JSON.stringify(sent.body));
    await waitMessages(buyer, 1);
    await buyer.client.close();
    const report = (version: number) =>
      callApi(port, {
        ...{ method: "POST", path: "/v1/cards/states", key },
        body: { from: "svc:orders", between: ["api-card", "svc:shop"], ref: "o-77", version, snapshot: { version } },
      });
    assert.deepEqual([(await report(5)).status, (await report(5)).body.repeated], [200, true]);
    const late = await report(4);
    assert.deepEqual([late.status, late.body.code, late.body.currentVersion], [409, "stale", 5]);
    const path = `/v1/users/api-card/conversations/${String(sent.body.conversationId)}/messages`;
    const history = await callApi(port, { method: "GET", key, path });
    const messages = history.body.messages as { contentType: string; content: string }[];
    const cards = messages.filter(({ contentType }) => contentType.startsWith("im/card"));
    const claims = JSON.parse(Buffer.from(cards[0]?.content.split(".")[1] ?? "", "base64url").toString()) as object;
    assert.deepEqual([cards.length, claims], [1, { ...card, version: 5, snapshot: { version: 5 }, actions: [] }]);
  });

  it("takes the keys of its file, and refuses a revoked key within 5 s, whichever it is", async () => {
    const call = { method: "GET", path: "/v1/users/nobody/devices" };
    const made = await createApiKey(fleet().postgresUrl, ["users:read"]);
    for (const key of [made, fileKey.text]) assert.equal((await callApi(port, { ...call, key })).status, 200);
    for (const keyId of [made.slice(4, 16), fileKey.keyId]) await apiKeys(fleet().postgresUrl, "revoke", keyId);
    for (const key of [made, fileKey.text])
      await waitWithin(
        "the key is refused",
        REVOKED_MS,
        async () => (await callApi(port, { ...call, key })).status === 401,
      );
    const listed = (await apiKeys(fleet().postgresUrl, "list")) as unknown as { keyId: string; revokedMs: number }[];
    assert.ok(listed.some(({ keyId, revokedMs: at }) => keyId === made.slice(4, 16) && at > 0));
    assert.ok(!JSON.stringify(listed).includes("secretHash"));
  });

  /** A user whom the shop has written to, and all else that the examples are about. */
  async function factsOf(userId: string): Promise<ExampleFacts> {
    const key = await allKey();
    const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
      const answer = await callApi(port, { method: "POST", path, key, body });
      assert.ok(answer.status < 300, `${path}: ${JSON.stringify(answer.body)}`);
      return answer.body;
    };
    const service = "svc:shop";
    const text = { contentType: "text/plain", content: "hello" };
    const { conversationId, messageId } = await post("/v1/messages", { from: service, to: userId, ...text });
    const { groupId } = await post("/v1/groups", { actor: service, name: "team", userIds: [userId] });
    const cardRef = "order-1";
    const card = { type: "order", ref: cardRef, version: 1, snapshot: { state: "new" } };
    await post("/v1/cards", { from: service, to: userId, card });
    const sale = { ...text, audience: "users", userIds: [userId], notAfterMs: Date.now() + 3_600_000 };
    const { broadcastId } = await post("/v1/broadcasts", sale);
    const ids = { conversationId: String(conversationId), messageId: String(messageId), groupId: String(groupId) };
    const reportNumber = await reportBy(userId);
    return { userId, service, ...ids, cardRef, broadcastId: String(broadcastId), reportNumber };
  }

  it("answers every operation as documented, to every kind of caller", async () => {
    const [right, stranger] = [await allKey(), await createApiKey(fleet().postgresUrl, SCOPES, "acme")];
    const calls = exampleCalls(await factsOf("api-eve"));
    const scopeless = await createApiKey(fleet().postgresUrl, ["audit:read"]);
    for (const { id, reply, scope } of OPERATIONS) {
      const call = calls[id];
      assert.ok(call, id);
      const hidden = HIDDEN.includes(id) ? 404 : WHOLE_CLUSTER.includes(id) ? 403 : reply.status;
      const callers: [string | undefined, number][] = [
        [undefined, 401],
        [makeKey().text, 401],
        [`${right.slice(0, 17)}${makeKey().secret}`, 401],
        [scopeless, scope === "audit:read" ? reply.status : 403],
        [stranger, hidden],
        [right, reply.status],
      ];
      for (const [key, status] of callers) {
        const answer = await callApi(port, { ...call, key });
        assert.equal(answer.status, status, `${id}: ${JSON.stringify(answer.body)}`);
        if (status < 300 && reply.schema)
          assert.ok(fits(reply.schema, answer.body), `${id}: ${JSON.stringify(answer.body)}`);
      }
    }
  });

  it("does every operation over gRPC, which HTTP then tells as done, and refuses the same callers", async () => {
    const right = await allKey();
    const calls = exampleCalls(await factsOf("api-grpc"));
    const scopeless = await createApiKey(fleet().postgresUrl, ["audit:read"]);
    for (const operation of OPERATIONS) {
      const { id, scope, reply } = operation;
      const call = calls[id];
      assert.ok(call, id);
      const request = messageOf(operation, call);
      const ask = (key: string | undefined, idempotencyKey: string) =>
        twin.call(methodName(id), request, { key, idempotencyKey });
      const callers = [undefined, makeKey().text, ...(scope === "audit:read" ? [] : [scopeless])];
      const refused = await Promise.all(callers.map((key) => ask(key, randomUUID())));
      const unknown = [GrpcStatus.UNAUTHENTICATED, GrpcStatus.UNAUTHENTICATED, GrpcStatus.PERMISSION_DENIED];
      assert.deepEqual(
        refused.map(({ status }) => status),
        unknown.slice(0, callers.length),
        id,
      );
      const idempotencyKey = randomUUID();
      const done = await ask(right, idempotencyKey);
      assert.deepEqual([done.status, done.isReplay], [0, false], `${id}: ${done.details}`);
      const told = await callApi(port, { ...call, key: right, idempotencyKey });
      assert.equal(told.status, reply.status, `${id}: ${JSON.stringify(told.body)}`);
      const isRead = call.method === "GET";
      assert.equal(told.headers.get("idempotent-replayed"), isRead ? null : "true", id);
      const { schema } = reply;
      // The log has grown by the call.
      if (!schema || !("properties" in schema) || id === "readAudit") continue;
      const shown = (value: ProtoValue): ProtoValue => fromProto(schema, value);
      if (!isRead) assert.deepEqual(shown(done.reply ?? {}), shown(toProto(schema, told.body)), id);
      // What goes on meanwhile, as a deletion does, is seen by both when nothing moves between two reads.
      else
        await waitUntil(
          `${id} is the same`,
          async () => {
            const { reply: one = {} } = await ask(right, randomUUID());
            const { body: other } = await callApi(port, { ...call, key: right });
            return isDeepStrictEqual(shown(one), shown(toProto(schema, other)));
          },
          WAIT_MS,
        );
    }
  });

  it("ends a gRPC call at its deadline, and the same key of idempotency finds out what became of it", async () => {
    const [key, idempotencyKey, words] = [await allKey(), randomUUID(), randomUUID()];
    const { body } = message("api-late", words);
    const ask = (deadlineMs: number) => twin.call("SendMessage", body, { key, idempotencyKey, deadlineMs });
    fleet().logic(0).sigstop();
    const late = await ask(SHORT_MS).finally(() => fleet().logic(0).sigcont());
    assert.equal(late.status, GrpcStatus.DEADLINE_EXCEEDED, late.details);
    const answers = new Set<string>();
    await waitUntil(
      "it is answered twice",
      async () => {
        const { status, reply } = await ask(WAIT_MS);
        if (status === 0) answers.add(String(reply?.messageId));
        return status === 0 && (await ask(WAIT_MS)).isReplay;
      },
      WAIT_MS,
    );
    const user = await login(fleet(), "api-late", target());
    await waitMessages(user, 1);
    await callApi(port, { ...message("api-late", "marker"), key });
    await waitUntil("the marker comes", () => user.messages.at(-1)?.text === "marker", WAIT_MS);
    assert.deepEqual(
      user.messages.map(({ text }) => text),
      [words, "marker"],
    );
    assert.deepEqual([...answers], [user.messages[0]?.messageId]);
    await user.client.close();
  });

  it("has no 5xx for anything that a caller can do wrong", async () => {
    const key = await allKey();
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "idempotency-key": "k" };
    const url = `http://127.0.0.1:${port}`;
    const wrong: [path: string, init: RequestInit][] = [
      ["/", {}],
      ["/v1", {}],
      ["/v1/messages", { method: "GET", headers }],
      ["/v1/messages", { method: "DELETE", headers }],
      ["/v1/messages", { method: "POST", headers, body: "{" }],
      ["/v1/messages", { method: "POST", headers, body: "" }],
      ["/v1/messages", { method: "POST", headers, body: '{"from":"\\u0000"}' }],
      ["/v1/messages", { method: "POST", headers, body: Buffer.alloc(1024 * 1024) }],
      ["/v1/users/%00/devices", { headers }],
      ["/v1/users/%c3%28/devices", { headers }],
      ["/v1/users/a/messages/%00", { headers }],
      ["/v1/users/a/messages/'%20OR%201=1--", { headers }],
      [`/v1/users/${"a".repeat(7000)}/devices`, { headers }],
      ["/v1/audit?cursor=%00&limit=1e9", { headers }],
      ["/openapi.json", { method: "POST", headers, body: "{}" }],
    ];
    for (const [path, init] of wrong) {
      const response = await fetch(url + path, { ...init, signal: AbortSignal.timeout(WAIT_MS) });
      const text = await response.text();
      assert.ok(response.status >= 400 && response.status < 500, `${path.slice(0, 60)}: ${response.status} ${text}`);
      assert.equal(response.headers.get("content-type"), "application/problem+json", path.slice(0, 60));
    }
    assert.equal((await fetch(`${url}/openapi.json`)).status, 200);
    const metrics = await fleet().logic(0).metrics();
    assert.match(metrics, /im_api_calls_total\{operation="sendMessage",status="201",tenant=""\} \d/);
    assert.doesNotMatch(metrics, /im_api_calls_total\{[^}]*status="5/);
    assert.doesNotMatch(metrics, /im_api_audit_lost_total [1-9]/);
  });

  it("writes down who did what, and no secret and no content into its log", async () => {
    const [key, words] = [await allKey(), randomUUID()];
    await callApi(port, { ...message("api-frank", words), key });
    const { body }: ApiReply = await callApi(port, { method: "GET", path: "/v1/audit?limit=1", key });
    const [entry] = body.entries as { operation: string; target: string; keyId: string }[];
    assert.deepEqual([entry?.operation, entry?.target, entry?.keyId], ["sendMessage", "api-frank", key.slice(4, 16)]);
    const log = fleet().logic(0).logTail(10_000_000);
    assert.ok(!log.includes(words) && !log.includes(key.slice(17)) && !JSON.stringify(body).includes(words));
  });
});
