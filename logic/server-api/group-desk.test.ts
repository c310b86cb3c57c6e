// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { TestApi } from "./api-kit.ts";

describe("groups by the API", () => {
  let api: TestApi;
  let key: string;
  before(async () => {
    api = await new TestApi().start();
    key = await api.key();
  });
  after(() => api.close());

  const post = (path: string, body: object, more: { key?: string; idempotencyKey?: string } = {}) =>
    api.call({ method: "POST", path, key, body, ...more });
  const create = (userIds: string[], fields: object = {}, more: { key?: string; idempotencyKey?: string } = {}) =>
    post("/v1/groups", { actor: "svc:market", name: "deal", userIds, ...fields }, more);
  const read = (groupId: unknown, query = "") =>
    api.call({ method: "GET", path: `/v1/groups/${String(groupId)}?actor=svc:market${query}`, key });

  it("are made once, told to their members, and seen as they are", async () => {
    const login = await api.entry.login(1, "g1-ann");
    assert.equal(login.kind, "ok");
    const idempotencyKey = randomUUID();
    const made = await create(["g1-ann", "g1-ben", "g1-ann"], {}, { idempotencyKey });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.deepEqual([made.body.version, made.body.userIds], [1, ["g1-ann", "g1-ben"]]);
    const again = await create(["g1-ann", "g1-ben", "g1-ann"], {}, { idempotencyKey });
    assert.deepEqual(again.body, made.body);
    const event = await api.entry.delivered(1);
    assert.deepEqual(
      [event.sender, event.contentType, event.conversationId],
      ["svc:market", "im/group", made.body.groupId],
    );
    const { body } = await read(made.body.groupId);
    assert.deepEqual([body.name, body.memberCount, body.version, body.lastSeq], ["deal", 3, 1, 1]);
    assert.deepEqual(body.members, [
      { userId: "g1-ann", role: "member" },
      { userId: "g1-ben", role: "member" },
      { userId: "svc:market", role: "owner" },
    ]);
  });

  it("take messages of the service account, and of nobody who is not in it", async () => {
    const { groupId } = (await create(["g2-ann"])).body;
    const message = { conversationId: groupId, contentType: "text/plain", content: "hi" };
    assert.equal((await post("/v1/messages", { from: "svc:market", ...message })).status, 201);
    assert.equal((await post("/v1/messages", { from: "svc:stranger", ...message })).status, 404);
  });

  it("change by the roles that they have", async () => {
    const { groupId } = (await create(["g3-ann", "g3-ben"])).body;
    const base = `/v1/groups/${String(groupId)}`;
    const actor = "svc:market";
    const added = await post(`${base}/members`, { actor, userIds: ["g3-cal", "g3-ann", "svc:helper"] });
    assert.deepEqual([added.status, added.body.version, added.body.userIds], [200, 2, ["g3-cal", "svc:helper"]]);
    const denied = await post(`${base}/name`, { actor: "svc:helper", name: "mine" });
    assert.deepEqual([denied.status, denied.body.code], [403, "not_allowed"]);
    assert.equal((await post(`${base}/role`, { actor, userId: "svc:helper", role: "admin" })).status, 200);
    assert.equal((await post(`${base}/name`, { actor: "svc:helper", name: "ours" })).status, 200);
    const same = await post(`${base}/name`, { actor, name: "ours" });
    assert.deepEqual([same.status, same.body.version], [200, 0]);
    const removed = await post(`${base}/members/remove`, { actor, userIds: ["g3-ben"] });
    assert.deepEqual(removed.body.userIds, ["g3-ben"]);
    const { body } = await read(groupId);
    assert.deepEqual([body.name, body.memberCount, body.version], ["ours", 4, 5]);
  });

  it("refuse what cannot be, with a code each", async () => {
    const { groupId } = (await create(["g4-ann"])).body;
    const base = `/v1/groups/${String(groupId)}`;
    const many = Array.from({ length: 199 }, (_, n) => `g4-${n}`);
    const cases: [path: string, body: object, status: number, code: string][] = [
      [`${base}/role`, { actor: "svc:market", userId: "g4-nobody", role: "admin" }, 404, "not_found"],
      [`${base}/role`, { actor: "svc:market", userId: "g4-ann", role: "king" }, 400, "invalid"],
      [`${base}/members`, { actor: "g4-ann", userIds: ["x"] }, 400, "invalid"],
      [`${base}/members`, { actor: "svc:other", userIds: ["x"] }, 404, "not_found"],
      [`${base}/members`, { actor: "svc:market", userIds: many }, 400, "invalid"],
      [`${base}/members`, { actor: "svc:market", userIds: [] }, 400, "invalid"],
      ["/v1/groups/g_unknown/members", { actor: "svc:market", userIds: ["x"] }, 404, "not_found"],
    ];
    for (const [path, body, status, code] of cases) {
      const answer = await post(path, body);
      assert.deepEqual([answer.status, answer.body.code], [status, code], `${path} ${JSON.stringify(answer.body)}`);
    }
    assert.equal((await read("g_unknown")).status, 404);
    assert.equal((await read(groupId, "&cursor=AA")).status, 400);
  });

  it("show their members page by page", async () => {
    const users = ["g5-a", "g5-b", "g5-c", "g5-d"];
    const { groupId } = (await create(users)).body;
    const seen: string[] = [];
    for (let query = "&limit=2"; ; ) {
      const { body } = await read(groupId, query);
      seen.push(...(body.members as { userId: string }[]).map(({ userId }) => userId));
      if (body.nextCursor === undefined) break;
      query = `&limit=2&cursor=${String(body.nextCursor)}`;
    }
    assert.deepEqual(seen, [...users, "svc:market"]);
  });

  it("of a tenant are its own", async () => {
    const own = await api.key({ tenant: "acme" });
    const made = await create(["g6-ann"], {}, { key: own });
    assert.deepEqual([made.status, made.body.userIds], [201, ["g6-ann"]]);
    assert.equal((await read(made.body.groupId)).status, 404);
    const path = `/v1/groups/${String(made.body.groupId)}?actor=svc:market`;
    const { body } = await api.call({ method: "GET", path, key: own });
    assert.deepEqual(
      (body.members as { userId: string }[]).map(({ userId }) => userId),
      ["g6-ann", "svc:market"],
    );
    const inbox = await api.store.readInbox({ userId: "g6-ann", cursor: 0, limit: 10, limitBytes: 1000 });
    assert.equal(inbox.events.length, 0);
  });
});

describe("conversations by the API", () => {
  it("are listed by their last activity, with what is unread, page by page", async () => {
    const api = await new TestApi().start();
    try {
      const key = await api.key();
      for (const n of [1, 2, 3]) {
        const body = { from: `svc:shop${n}`, to: "ann", contentType: "text/plain", content: "hi" };
        assert.equal((await api.call({ method: "POST", path: "/v1/messages", key, body })).status, 201);
      }
      const seen: [string, number][] = [];
      for (let query = "?limit=2"; ; ) {
        const { status, body } = await api.call({ method: "GET", path: `/v1/users/ann/conversations${query}`, key });
        assert.equal(status, 200);
        for (const one of body.conversations as { peerId: string; unread: number }[])
          seen.push([one.peerId, one.unread]);
        if (body.nextCursor === undefined) break;
        query = `?limit=2&cursor=${String(body.nextCursor)}`;
      }
      assert.deepEqual(seen, [
        ["svc:shop3", 1],
        ["svc:shop2", 1],
        ["svc:shop1", 1],
      ]);
      const other = await api.call({ method: "GET", path: "/v1/users/nobody/conversations", key });
      assert.deepEqual([other.status, other.body], [200, { conversations: [] }]);
    } finally {
      api.close();
    }
  });
});
