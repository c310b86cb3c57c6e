// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { waitUntil } from "../entry-kit.ts";
import { TestApi } from "./api-kit.ts";

describe("a call of the API", () => {
  let api: TestApi;
  let key: string;
  before(async () => {
    api = await new TestApi().start();
    key = await api.key();
  });
  after(() => api.close());

  const message = (to: string, fields: object = {}) => ({
    ...{ method: "POST", path: "/v1/messages", key },
    body: { from: "svc:shop", to, contentType: "text/plain", content: "hello", ...fields },
  });
  const inboxOf = async (userId: string) =>
    (await api.store.readInbox({ userId, cursor: 0, limit: 100, limitBytes: 1 << 20 })).events;

  it("sends a message that a device gets, with an answer that says where it is", async () => {
    const login = await api.entry.login(11, "u1");
    assert.equal(login.kind, "ok");
    const { status, body } = await api.call(message("u1"));
    assert.equal(status, 201, JSON.stringify(body));
    const event = await api.entry.delivered(11);
    assert.deepEqual(
      [event.sender, event.messageId, event.conversationId, event.convSeq, Buffer.from(event.content).toString()],
      ["svc:shop", body.messageId, body.conversationId, 1, "hello"],
    );
    assert.equal(body.conversationSeq, 1);
  });

  it("pushes to who is away", async () => {
    const { status } = await api.call(message("away"));
    assert.equal(status, 201);
    const pushed = () => api.intents.filter(({ userId }) => userId === "away").map(({ inboxSeq }) => inboxSeq);
    await waitUntil("the push intent", () => pushed().length > 0);
    assert.deepEqual(pushed(), [1]);
  });

  it("takes bytes in base64, and gives them back so", async () => {
    const bytes = Buffer.from([0xff, 0x00, 0xfe]);
    const { body } = await api.call(message("u2", { content: bytes.toString("base64"), encoding: "base64" }));
    assert.deepEqual(
      (await inboxOf("u2")).map(({ content }) => Buffer.from(content)),
      [bytes],
    );
    const path = `/v1/users/u2/conversations/${String(body.conversationId)}/messages`;
    const page = await api.call({ method: "GET", path, key });
    const [shown] = page.body.messages as { content: string; encoding: string; from: string }[];
    assert.deepEqual([shown?.content, shown?.encoding, shown?.from], ["/wD+", "base64", "svc:shop"]);
    const bad = await api.call(message("u2", { content: "not base64!", encoding: "base64" }));
    assert.deepEqual([bad.status, bad.body.code], [400, "invalid"]);
  });

  it("notifies in a type that only the server writes", async () => {
    const body = { from: "svc:orders", to: "u3", kind: "order.paid", title: "Paid", facts: { orderId: "7" } };
    assert.equal((await api.call({ method: "POST", path: "/v1/notifications", key, body })).status, 201);
    const [event] = await inboxOf("u3");
    assert.equal(event?.contentType, "im/notification");
    assert.deepEqual(JSON.parse(Buffer.from(event?.content ?? []).toString()), {
      ...{ kind: "order.paid", title: "Paid", text: "", link: "", facts: { orderId: "7" } },
    });
    const forged = await api.call(message("u3", { contentType: "im/notification" }));
    assert.deepEqual([forged.status, forged.body.code], [400, "invalid"]);
  });

  it("gives who repeats it the same answer, and does it once", async () => {
    const call = { ...message("u4"), idempotencyKey: randomUUID() };
    const answers = [await api.call(call), await api.call(call), await api.call(call)];
    assert.deepEqual(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1);
    assert.deepEqual(
      answers.map(({ status, headers }) => [status, headers["idempotent-replayed"]]),
      [
        [201, undefined],
        [201, "true"],
        [201, "true"],
      ],
    );
    assert.equal((await inboxOf("u4")).length, 1);
  });

  it("takes the same body in another order for the same", async () => {
    const { body, ...call } = { ...message("u5"), idempotencyKey: randomUUID() };
    const first = await api.call({ ...call, body });
    const turned = Object.fromEntries(Object.entries(body).reverse());
    assert.deepEqual((await api.call({ ...call, body: turned })).body, first.body);
  });

  it("refuses another call under the same idempotency key", async () => {
    const idempotencyKey = randomUUID();
    await api.call({ ...message("u6"), idempotencyKey });
    const others = [message("u6", { content: "other" }), { method: "POST", path: "/v1/users/u6/kick", key, body: {} }];
    for (const call of others) {
      const { status, body } = await api.call({ ...call, idempotencyKey });
      assert.deepEqual([status, body.code], [409, "conflict"]);
    }
    assert.equal((await inboxOf("u6")).length, 1);
  });

  it("recognises a message also when its answer was lost with the process", async () => {
    const call = { ...message("u7"), idempotencyKey: randomUUID() };
    const first = await api.call(call);
    api.clock.advance(25 * 3_600_000);
    await api.store.serverApi.prune(1e15);
    const again = await api.call(call);
    assert.deepEqual([again.status, again.body], [201, first.body]);
    assert.equal(again.headers["idempotent-replayed"], undefined);
    assert.equal((await inboxOf("u7")).length, 1);
  });

  it("says of a call that is worked on to come later, and works on it once", async () => {
    const call = { ...message("u8"), idempotencyKey: randomUUID() };
    const answers = await Promise.all([1, 2, 3].map(() => api.call(call)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409]);
    const late = answers.find(({ status }) => status === 409);
    assert.deepEqual([late?.body.code, late?.headers["retry-after"]], ["in_progress", "1"]);
    assert.equal((await inboxOf("u8")).length, 1);
  });

  it("keeps no answer that may pass", async () => {
    const call = { ...message("u9"), idempotencyKey: randomUUID() };
    const append = api.store.append.bind(api.store);
    api.store.append = () => Promise.reject(new Error("boom"));
    const failed = await api.call(call);
    assert.ok(failed.status >= 500 && !JSON.stringify(failed.body).includes("boom"), JSON.stringify(failed.body));
    api.store.append = append;
    assert.equal((await api.call(call)).status, 201);
    assert.ok(api.faults.includes("api sendMessage"));
  });

  it("names each fault of a request", async () => {
    const body = { from: "shop", to: "no spaces", content: 5, extra: true };
    const answer = await api.call({ method: "POST", path: "/v1/messages", key, body, idempotencyKey: "a b" });
    assert.equal(answer.status, 400);
    const faults = answer.body.errors as { path: string }[];
    assert.deepEqual(faults.map(({ path }) => path).sort(), [
      ...["/content", "/contentType", "/extra", "/from", "/header/Idempotency-Key", "/to"],
    ]);
    assert.match(String(answer.body.instance), /^urn:uuid:/);
    assert.equal(answer.body.type, "urn:imcluster:problem:invalid");
  });

  const BAD: [what: string, call: Parameters<TestApi["call"]>[0], status: number, code: string][] = [
    ["no such path", { method: "GET", path: "/v2/messages" }, 404, "not_found"],
    ["no such method", { method: "PUT", path: "/v1/messages" }, 405, "method_not_allowed"],
    ["a broken path", { method: "GET", path: "/v1/users/%ff/devices" }, 400, "malformed"],
    ["a user id of other letters", { method: "GET", path: "/v1/users/a%20b/devices" }, 400, "invalid"],
    ["an id of another tenant", { method: "GET", path: "/v1/users/acme%2Fbob/devices" }, 400, "invalid"],
    ["a list that is empty", { method: "GET", path: "/v1/presence" }, 400, "invalid"],
    ["an unknown parameter", { method: "GET", path: "/v1/dead-letters?x=1" }, 400, "invalid"],
    ["one parameter twice", { method: "GET", path: "/v1/dead-letters?limit=1&limit=2" }, 400, "invalid"],
    ["a limit out of range", { method: "GET", path: "/v1/dead-letters?limit=0" }, 400, "invalid"],
    ["a cursor of nobody", { method: "GET", path: "/v1/audit?cursor=abc" }, 400, "invalid"],
    ["no JSON", { method: "POST", path: "/v1/messages", body: "{" }, 400, "malformed"],
    ["no UTF-8", { method: "POST", path: "/v1/messages", body: Buffer.from([0xff]) }, 400, "malformed"],
    ["null", { method: "POST", path: "/v1/messages", body: "null" }, 400, "invalid"],
    ["deep JSON", { method: "POST", path: "/v1/messages", body: "[".repeat(100_000) }, 400, "malformed"],
    ["a form", { method: "POST", path: "/v1/messages", contentType: "text/plain" }, 415, "unsupported_media_type"],
    [
      "no idempotency key",
      { method: "POST", path: "/v1/dead-letters/replay", idempotencyKey: undefined },
      400,
      "invalid",
    ],
    [
      "a key in the token's place",
      { method: "POST", path: "/v1/tokens/revoke", body: { tokenId: "a\u0001b" } },
      400,
      "invalid",
    ],
  ];
  for (const [what, call, status, code] of BAD)
    it(`is refused with ${what}`, async () => {
      const answer = await api.call({ key, ...call });
      assert.deepEqual([answer.status, answer.body.code], [status, code], JSON.stringify(answer.body));
    });

  it("is refused with no recipient, two, or itself", async () => {
    for (const fields of [{ to: undefined }, { conversationId: "c" }, { to: "svc:shop" }]) {
      const answer = await api.call(message("u10", fields));
      assert.deepEqual([answer.status, answer.body.code], [400, "invalid"]);
    }
    const answer = await api.call(message("", { to: undefined, conversationId: "c_unknown" }));
    assert.deepEqual([answer.status, answer.body.code], [404, "not_found"]);
  });

  it("is refused when the content is too large, and taken when it just fits", async () => {
    const large = await api.call(message("u11", { content: "好".repeat(21_846) }));
    assert.deepEqual([large.status, large.body.code], [413, "too_large"]);
    const fitting = await api.call(message("u11", { content: "好".repeat(21_845) }));
    assert.equal(fitting.status, 201);
  });

  it("tells where a message is", async () => {
    const sent = await api.call(message("u12"));
    const path = `/v1/users/u12/messages/${String(sent.body.messageId)}`;
    const stateOf = async (): Promise<unknown> => {
      const { body } = await api.call({ method: "GET", path, key });
      return (body.receivers as { userId: string; state: string }[]).find(({ userId }) => userId === "u12")?.state;
    };
    assert.equal(await stateOf(), "stored");
    const login = await api.entry.login(12, "u12");
    assert.equal(login.kind, "ok");
    assert.equal(await stateOf(), "online");
    await api.store.advanceAcks([{ userId: "u12", deviceId: "phone-1", inboxSeq: 1 }]);
    assert.equal(await stateOf(), "acknowledged");
    const { body } = await api.call({ method: "GET", path, key });
    assert.deepEqual([body.from, body.contentBytes, body.expired], ["svc:shop", 5, false]);
    assert.ok(!JSON.stringify(body).includes("hello"));
  });

  it("pages through a conversation", async () => {
    const ids: unknown[] = [];
    for (let n = 0; n < 5; n++) ids.push((await api.call(message("u13", { content: `${n}` }))).body.messageId);
    const [first] = await inboxOf("u13");
    const base = `/v1/users/u13/conversations/${first?.conversationId}/messages?limit=2`;
    const pages: unknown[][] = [];
    for (let cursor = ""; ; ) {
      const path = cursor === "" ? base : `${base}&cursor=${cursor}`;
      const { body } = await api.call({ method: "GET", path, key });
      pages.push((body.messages as { messageId: string }[]).map(({ messageId }) => messageId));
      if (body.nextCursor === undefined) break;
      cursor = String(body.nextCursor);
      const other = await api.call({ method: "GET", path: `/v1/audit?cursor=${cursor}`, key });
      assert.deepEqual([other.status, other.body.code], [400, "invalid"], "a cursor is of one list");
    }
    assert.deepEqual(pages, [[ids[3], ids[4]], [ids[1], ids[2]], [ids[0]]]);
  });

  it("is written down: who, what, about whom, and never what was said", async () => {
    const tenant = `t-${randomUUID().slice(0, 8)}`;
    const own = await api.key({ tenant });
    const secretText = randomUUID();
    await api.call({ ...message("u14", { content: secretText }), key: own });
    await api.call({ ...message("u14", { to: "" }), key: own });
    await api.call({ method: "GET", path: "/v1/users/u14/devices", key: own });
    await api.call({ method: "POST", path: "/v1/users/u14/kick", key: own, body: {} });
    const { body } = await api.call({ method: "GET", path: "/v1/audit?limit=3", key: own });
    const rows = body.entries as { operation: string; target: string; status: number; keyId: string }[];
    assert.deepEqual(
      rows.map(({ operation, target, status }) => [operation, target, status]),
      [
        ["kickUser", "u14", 200],
        ["readDevices", "u14", 200],
        ["sendMessage", "", 400],
      ],
    );
    const next = await api.call({
      method: "GET",
      path: `/v1/audit?limit=3&cursor=${String(body.nextCursor)}`,
      key: own,
    });
    const all = JSON.stringify([body, next.body]);
    assert.ok(all.includes("sendMessage") && !all.includes(secretText) && !all.includes(own));
    assert.ok(rows.every(({ keyId }) => keyId === own.slice(4, 16)));
  });

  it("lists dead letters of its tenant and takes them up again", async () => {
    const letter = (userId: string) => ({ userId, inboxSeq: 1, reason: "exhausted", atMs: 5 });
    api.deadLetters.letters = [letter("bob"), letter("acme/bob"), letter("eve")];
    const listed = await api.call({ method: "GET", path: "/v1/dead-letters?limit=1", key });
    assert.deepEqual(listed.body, { letters: 2, oldest: [letter("bob")] });
    const replay = { method: "POST", path: "/v1/dead-letters/replay", key, body: {} };
    assert.deepEqual((await api.call(replay)).body, { replayed: 2 });
    assert.deepEqual(api.deadLetters.letters, [letter("acme/bob")]);
  });

  it("revokes what a user logs in with", async () => {
    const revoke = { method: "POST", path: "/v1/users/u15/revoke", key, body: {} };
    const { status, headers } = await api.call(revoke);
    assert.deepEqual([status, headers], [204, {}]);
    assert.equal((await api.entry.login(15, "u15")).kind, "denied");
    assert.equal(
      (await api.call({ method: "POST", path: "/v1/tokens/revoke", key, body: { tokenId: "j" } })).status,
      204,
    );
    assert.deepEqual(await api.store.findRevoked([{ userId: "u16", tokenId: "j", issuedAtMs: 0 }]), [0]);
  });
});

describe("a key that calls too often", () => {
  it("is told when to come again, and holds up nobody else", async () => {
    const api = await new TestApi(5).start();
    try {
      const [hasty, calm] = [await api.key(), await api.key()];
      const call = { method: "GET", path: "/v1/dead-letters" };
      const statuses: number[] = [];
      for (let n = 0; n < 12; n++) statuses.push((await api.call({ ...call, key: hasty })).status);
      assert.deepEqual(statuses, [...Array<number>(10).fill(200), 429, 429]);
      assert.equal((await api.call({ ...call, key: calm })).status, 200);
      const refused = await api.call({ ...call, key: hasty });
      assert.deepEqual([refused.body.code, refused.headers["retry-after"]], ["rate_limited", "1"]);
      api.clock.advance(200);
      assert.equal((await api.call({ ...call, key: hasty })).status, 200);
    } finally {
      api.close();
    }
  });
});

describe("an overloaded API", () => {
  it("refuses what comes on top, before it costs anything", async () => {
    const api = await new TestApi().start();
    try {
      const key = await api.key();
      const calls = Array.from({ length: 80 }, () => api.call({ method: "GET", path: "/v1/dead-letters", key }));
      const answers = await Promise.all(calls);
      const busy = answers.filter(({ status }) => status === 503);
      assert.equal(busy.length, 16);
      assert.deepEqual([busy[0]?.body.code, busy[0]?.headers["retry-after"]], ["busy", "1"]);
      assert.equal((await api.call({ method: "GET", path: "/v1/dead-letters", key })).status, 200);
    } finally {
      api.close();
    }
  });
});
