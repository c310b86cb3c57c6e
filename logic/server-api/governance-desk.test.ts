// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { TestApi } from "./api-kit.ts";

const ROUND_MS = 20_000;

describe("deletion of users by the API", () => {
  let api: TestApi;
  let key: string;
  before(async () => {
    api = await new TestApi().start();
    key = await api.key();
  });
  after(() => api.close());

  const post = (path: string, body: object, more: { key?: string; idempotencyKey?: string } = {}) =>
    api.call({ method: "POST", path, key, body, ...more });
  const get = (path: string, more: { key?: string } = {}) => api.call({ method: "GET", path, key, ...more });
  const stateOf = async (userId: string, more: { key?: string } = {}): Promise<unknown> =>
    (await get(`/v1/users/${userId}/erasure`, more)).body.state;
  const say = async (from: string, to: string, content: string): Promise<string> => {
    const sent = await post("/v1/messages", { from, to, contentType: "text/plain", content });
    assert.equal(sent.status, 201, JSON.stringify(sent.body));
    return String(sent.body.conversationId);
  };
  /** Rounds of the job until nothing changes, over the time that it waits. */
  async function settle(): Promise<void> {
    for (let rounds = 0; rounds < 3; rounds++) {
      let isDone = false;
      void api.erasures.round().finally(() => {
        isDone = true;
      });
      for (let turns = 0; !isDone && turns < 10_000; turns++) {
        await new Promise((resolve) => setImmediate(resolve));
        api.clock.advance(20);
      }
      assert.ok(isDone, "a round ends");
      api.clock.advance(ROUND_MS);
    }
  }

  it("answers at once, closes its sessions, and can be followed to the end", async () => {
    assert.equal((await api.entry.login(1, "e1-ann")).kind, "ok");
    const idempotencyKey = "erase-e1";
    const asked = await post("/v1/users/e1-ann/erase", {}, { idempotencyKey });
    assert.deepEqual([asked.status, asked.body.userId, asked.body.state], [202, "e1-ann", "erasing"]);
    assert.equal((await api.entry.kicked(1)).code, DisconnectCode.TOKEN_REVOKED);
    assert.notEqual((await api.entry.login(2, "e1-ann")).kind, "ok");
    assert.deepEqual((await post("/v1/users/e1-ann/erase", {}, { idempotencyKey })).body, asked.body);
    assert.equal(await stateOf("e1-ann"), "erasing");
    await settle();
    const { body } = await get("/v1/users/e1-ann/erasure");
    assert.deepEqual([body.state, body.erasedMessages], ["erased", 0]);
    assert.ok(Number(body.finishedMs) > Number(body.requestedMs));
  });

  it("leaves its groups, of which it hands over those that it owns, and tells the others", async () => {
    const { groupId } = (await post("/v1/groups", { actor: "svc:e2", name: "deal", userIds: ["e2-ann", "e2-ben"] }))
      .body;
    const base = `/v1/groups/${String(groupId)}`;
    await post(`${base}/role`, { actor: "svc:e2", userId: "e2-ben", role: "owner" });
    // svc:e2 is an admin now, and comes before the others who are members.
    await post("/v1/users/e2-ben/erase", {});
    await settle();
    assert.equal(await stateOf("e2-ben"), "erased");
    const { body } = await get(`${base}?actor=svc:e2`);
    assert.deepEqual(body.members, [
      { userId: "e2-ann", role: "member" },
      { userId: "svc:e2", role: "owner" },
    ]);
    const inbox = await api.store.readInbox({ userId: "e2-ann", cursor: 0, limit: 10, limitBytes: 10_000 });
    const kinds = inbox.events.map(
      ({ content }) => (JSON.parse(Buffer.from(content).toString()) as { kind: string }).kind,
    );
    assert.deepEqual(kinds, ["created", "role", "role", "left"]);
  });

  it("erases what was sent, or keeps it, as asked for", async () => {
    const [erased, kept] = [await say("svc:e3-a", "e3-bob", "secret"), await say("svc:e3-b", "e3-bob", "invoice")];
    // A service account is a user like another here, as it can send by the API.
    await api.store.governance.requestErasure("svc:e3-a", false);
    await api.store.governance.requestErasure("svc:e3-b", true);
    await settle();
    const read = async (conversationId: string) =>
      (await get(`/v1/users/e3-bob/conversations/${conversationId}/messages`)).body.messages as { content: string }[];
    assert.deepEqual(
      (await read(erased)).map(({ content }) => content),
      [""],
    );
    assert.deepEqual(
      (await read(kept)).map(({ content }) => content),
      ["invoice"],
    );
  });

  it("gives a user that nobody knows the same answer, and shows it to its tenant alone", async () => {
    const own = await api.key({ tenant: "acme" });
    const asked = await post("/v1/users/e4-ghost/erase", { messages: "erase" }, { key: own });
    assert.deepEqual([asked.status, asked.body.userId, asked.body.state], [202, "e4-ghost", "erasing"]);
    assert.deepEqual([await stateOf("e4-ghost", { key: own }), await stateOf("e4-ghost")], ["erasing", "none"]);
    await settle();
    assert.equal(await stateOf("e4-ghost", { key: own }), "erased");
  });

  it("keeps what is held until the hold is released", async () => {
    const conversationId = await say("svc:e5", "e5-bob", "evidence");
    const placed = await post("/v1/holds", { userId: "e5-bob", conversationId, reason: "case 7" });
    assert.deepEqual([placed.status, placed.body.kind, placed.body.id], [200, "conversation", conversationId]);
    assert.equal((await post("/v1/holds", { userId: "e5-nobody", conversationId, reason: "case 8" })).status, 404);
    await api.store.governance.requestErasure("svc:e5", false);
    await settle();
    const read = async () => (await get(`/v1/users/e5-bob/conversations/${conversationId}/messages`)).body.messages;
    assert.deepEqual(
      ((await read()) as { content: string }[]).map(({ content }) => content),
      ["evidence"],
    );
    const held = (await get("/v1/holds?limit=100")).body.holds as { id: string; reason: string }[];
    assert.ok(held.some(({ id, reason }) => id === conversationId && reason === "case 7"));
    const readmitted = await post("/v1/users/svc:e5/readmit", {});
    assert.deepEqual([readmitted.status, readmitted.body.code], [409, "in_progress"]);
    assert.deepEqual((await post("/v1/holds/release", { kind: "conversation", id: conversationId })).body, {
      released: true,
    });
    await settle();
    assert.deepEqual(
      ((await read()) as { content: string }[]).map(({ content }) => content),
      [""],
    );
  });

  it("lists holds page by page, and takes no cursor of another list", async () => {
    const own = await api.key({ tenant: "holders" });
    for (const userId of ["h-1", "h-2", "h-3"]) await post("/v1/holds", { userId, reason: "r" }, { key: own });
    const first = await get("/v1/holds?limit=2", { key: own });
    const next = await get(`/v1/holds?limit=2&cursor=${String(first.body.nextCursor)}`, { key: own });
    const ids = [first, next].map(({ body }) => (body.holds as { id: string }[]).map(({ id }) => id));
    assert.deepEqual([ids, next.body.nextCursor], [[["h-1", "h-2"], ["h-3"]], undefined]);
    assert.equal((await get("/v1/holds?cursor=AA", { key: own })).status, 400);
    assert.ok(Array.isArray((await get("/v1/holds")).body.holds));
  });

  it("lets an erased id log in when it is readmitted, and not before", async () => {
    await post("/v1/users/e7-ann/erase", {});
    await settle();
    assert.notEqual((await api.entry.login(7, "e7-ann")).kind, "ok");
    const asked = await post("/v1/users/e7-ann/readmit", {});
    assert.deepEqual([asked.status, asked.body.state], [202, "returning"]);
    await settle();
    assert.equal(await stateOf("e7-ann"), "none");
    // Tokens of this kit were issued at 0, which is before.
    const login = { userId: "e7-ann", slot: "mobile", deviceId: "d", deviceName: "", platform: "ios", appVersion: "" };
    const record = await api.store.login({ ...login, token: { tokenId: "", issuedAtMs: api.clock.wallMs() } });
    assert.equal(record.kind, "ok");
  });

  it("reports what keeps it from going on, and goes on later", async () => {
    await post("/v1/users/e8-ann/erase", {});
    const { governance } = api.store;
    const step = governance.stepErasure.bind(governance);
    let failures = 2;
    governance.stepErasure = async (claim, how) => {
      if (failures-- > 0) throw new Error("the database is away");
      return await step(claim, how);
    };
    await settle();
    await settle();
    governance.stepErasure = step;
    assert.equal(await stateOf("e8-ann"), "erased");
    assert.equal(api.faults.filter((op) => op === "erasure").length, 2);
    api.faults.length = 0;
  });
});
