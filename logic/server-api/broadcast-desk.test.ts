// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Command } from "#proto/commands.ts";
import { SysPage, SysPull } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { MAX_USERS_AT_ONCE } from "../store/broadcast-store.ts";
import { TestApi } from "./api-kit.ts";

describe("broadcasts in the server API", () => {
  let api: TestApi;
  let key: string;
  let conns = 0;
  before(async () => {
    api = await new TestApi().start();
    key = await api.key();
  });
  after(() => api.close());

  const inAnHour = (): number => api.clock.wallMs() + 3_600_000;
  const create = (fields: object = {}, idempotencyKey?: string) =>
    api.call({
      ...{ method: "POST", path: "/v1/broadcasts", key },
      body: { contentType: "text/plain", content: "sale", audience: "all", notAfterMs: inAnHour(), ...fields },
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    });
  const read = async (id: unknown) =>
    (await api.call({ method: "GET", path: `/v1/broadcasts/${String(id)}`, key })).body;
  const post = (id: unknown, what: string, body: object = {}) =>
    api.call({ method: "POST", path: `/v1/broadcasts/${String(id)}/${what}`, key, body });

  /** Logs a user in, and pulls what there is for it. */
  async function online(user: string): Promise<() => Promise<string[]>> {
    const conn = ++conns;
    assert.equal((await api.entry.login(conn, user)).kind, "ok");
    const position = api.core.broadcasts.board.headOf(user);
    return async () => {
      const inboxEpoch = api.core.broadcasts.board.epoch;
      const body = SysPull.encode({ inboxEpoch, position });
      const answer = await api.entry.ask(conn, Command.SYS_PULL, body, Command.SYS_PAGE, (bytes) =>
        SysPage.decode(bytes),
      );
      assert.ok(answer.kind === "ok");
      return answer.body.messages.map(({ content }) => Buffer.from(content).toString());
    };
  }

  it("tells everybody, from the answer on, once per idempotency key", async () => {
    const pull = await online("ann");
    const made = await create({ content: "for all" }, "sale-1");
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.deepEqual((await create({ content: "for all" }, "sale-1")).body, made.body);
    assert.deepEqual(await pull(), ["for all"]);
    const shown = await read(made.body.broadcastId);
    const { createdAtMs, notBeforeMs, notAfterMs, activationSeq, ...rest } = shown;
    assert.deepEqual(rest, {
      ...{ broadcastId: made.body.broadcastId, contentType: "text/plain", content: "for all", encoding: "utf8" },
      ...{ audience: "all", users: 0, urgent: false, state: "active" },
    });
    assert.ok(Number(activationSeq) > 0 && createdAtMs === notBeforeMs && Number(notAfterMs) > Number(notBeforeMs));
    const again = await create({ content: "another" }, "sale-1");
    assert.deepEqual([again.status, again.body.code], [409, "conflict"]);
    const store = api.store.broadcasts;
    // The answer is forgotten, the broadcast is not.
    api.clock.advance(3 * 86_400_000);
    const late = await create({ content: "another", notAfterMs: inAnHour() }, "sale-1");
    assert.deepEqual([late.status, late.body.code], [409, "conflict"]);
    assert.equal((await store.list("", { before: 0, limit: 10 })).length, 1);
  });

  it("keeps to the window, and shows where a broadcast is in its life", async () => {
    const nowMs = api.clock.wallMs();
    const { body } = await create({ content: "later", notBeforeMs: nowMs + 60_000, notAfterMs: nowMs + 120_000 });
    const pull = await online("ben");
    const state = async () => (await read(body.broadcastId)).state;
    assert.deepEqual([await state(), await pull()], ["planned", []]);
    api.clock.advance(60_001);
    await api.core.broadcasts.board.look();
    assert.deepEqual([await state(), await pull()], ["active", ["later"]]);
    api.clock.advance(60_000);
    assert.deepEqual([await state(), await pull()], ["ended", []]);
    assert.equal((await post(body.broadcastId, "users", { userIds: ["x"] })).body.code, "no_list");
  });

  it("takes a list in portions, early and late, and counts it", async () => {
    const [cid, dan, eve] = [await online("cid"), await online("dan"), await online("eve")];
    const made = await create({ content: "listed", audience: "users", userIds: ["cid", "cid"] });
    assert.deepEqual([await cid(), await dan(), await eve()], [["listed"], [], []]);
    const added = await post(made.body.broadcastId, "users", { userIds: ["dan", "cid"] });
    assert.deepEqual([added.status, added.body], [200, { added: 1, users: 2 }]);
    await api.core.broadcasts.board.look();
    assert.deepEqual([await cid(), await dan(), await eve()], [["listed"], ["listed"], []]);
    assert.equal((await read(made.body.broadcastId)).users, 2);
  });

  it("goes to a segment", async () => {
    const pull = await online("fay");
    await create({ content: "ios", audience: "segment", segment: [{ attribute: "platform", values: ["ios"] }] });
    const made = await create({
      ...{ content: "web", audience: "segment" },
      segment: [{ attribute: "platform", values: ["web", "mini"] }],
    });
    assert.deepEqual(await pull(), ["ios"]);
    assert.deepEqual((await read(made.body.broadcastId)).segment, [{ attribute: "platform", values: ["web", "mini"] }]);
  });

  it("retracts, as often as it is asked to", async () => {
    const pull = await online("gus");
    const { body } = await create({ content: "wrong" });
    assert.deepEqual(await pull(), ["wrong"]);
    for (let n = 0; n < 2; n++) assert.equal((await post(body.broadcastId, "retract")).status, 204);
    assert.deepEqual(await pull(), []);
    assert.equal((await read(body.broadcastId)).state, "retracted");
    assert.equal((await post(body.broadcastId, "users", { userIds: ["x"] })).body.code, "no_list");
    assert.equal((await post("b-none", "retract")).body.code, "not_found");
  });

  it("sends what is urgent to the entries before it answers", async () => {
    const made = await create({ content: "now", urgent: true });
    const { activationSeq } = await read(made.body.broadcastId);
    await api.entry.next(RecordKind.BROADCAST, { aux: Number(activationSeq) });
  });

  it("lists them newest first, page by page, without contents", async () => {
    const list = async (query: string) =>
      (await api.call({ method: "GET", path: `/v1/broadcasts?${query}`, key })).body as {
        broadcasts: { broadcastId: string; content: string; activationSeq: number }[];
        nextCursor?: string;
      };
    const all = (await list("")).broadcasts;
    const got: string[] = [];
    for (let query = "limit=3"; query !== ""; ) {
      const page = await list(query);
      got.push(...page.broadcasts.map(({ broadcastId }) => broadcastId));
      query = page.nextCursor === undefined ? "" : `limit=3&cursor=${page.nextCursor}`;
    }
    assert.deepEqual(
      got,
      all.map(({ broadcastId }) => broadcastId),
    );
    assert.ok(all.length > 5 && all.every(({ content }) => content === ""));
    const foreign = await api.call({ method: "GET", path: "/v1/broadcasts?cursor=abc", key });
    assert.equal(foreign.body.code, "invalid");
  });

  it("is about a topic, which users may mute and have so many of in a day", async () => {
    const [pull, other] = [await online("topical"), await online("another")];
    const notBeforeMs = api.clock.wallMs();
    const made = await create({ content: "first", topic: "sale", maxPerDay: 1, notBeforeMs });
    assert.equal((await create({ content: "second", topic: "sale", maxPerDay: 1, notBeforeMs })).status, 201);
    assert.deepEqual(await pull(), ["first"]);
    const { topic, maxPerDay } = await read(made.body.broadcastId);
    assert.deepEqual([topic, maxPerDay], ["sale", 1]);
    const path = "/v1/users/topical/muted-topics";
    const mute = (topics: readonly string[]) => api.call({ method: "POST", path, key, body: { topics } });
    const muted = async () => (await api.call({ method: "GET", path, key })).body;
    assert.deepEqual(await muted(), { topics: [] });
    assert.equal((await mute(["sale", "news", "sale"])).status, 204);
    assert.deepEqual(await muted(), { topics: ["news", "sale"] });
    assert.deepEqual([await pull(), await other()], [[], ["first"]]);
    await mute([]);
    assert.deepEqual([await muted(), await pull()], [{ topics: [] }, ["first"]]);
    for (const fields of [
      { maxPerDay: 1 },
      { topic: "sale", urgent: true },
      { topic: "Sale!" },
      { topic: "sale", maxPerDay: 0 },
    ]) {
      const refused = await create(fields);
      assert.deepEqual([refused.status, refused.body.code], [400, "invalid"], JSON.stringify(fields));
    }
    assert.equal((await mute(["Sale!"])).status, 400);
  });

  it("refuses what cannot be, with a code for each", async () => {
    const codeOf = async (fields: object) => {
      const { status, body } = await create(fields);
      return [status, body.code];
    };
    const nowMs = api.clock.wallMs();
    assert.deepEqual(await codeOf({ notBeforeMs: nowMs + 2000, notAfterMs: nowMs + 1000 }), [400, "inverted_window"]);
    assert.deepEqual(await codeOf({ notBeforeMs: 1000, notAfterMs: nowMs - 1000 }), [400, "inverted_window"]);
    const segment = [{ attribute: "shoeSize", values: ["42"] }];
    assert.deepEqual(await codeOf({ audience: "segment", segment }), [400, "unknown_segment"]);
    assert.deepEqual(await codeOf({ audience: "segment" }), [400, "empty_audience"]);
    assert.deepEqual(await codeOf({ audience: "users", userIds: [] }), [400, "empty_audience"]);
    const wrong = [{ attribute: "platform", values: ["toaster"] }];
    assert.deepEqual(await codeOf({ audience: "segment", segment: wrong }), [400, "invalid"]);
    assert.deepEqual(await codeOf({ audience: "all", userIds: ["bob"] }), [400, "invalid"]);
    const many = Array.from({ length: MAX_USERS_AT_ONCE + 1 }, (_, n) => `u${n}`);
    assert.deepEqual(await codeOf({ audience: "users", userIds: many }), [400, "invalid"]);
    assert.deepEqual(await codeOf({ encoding: "base64", content: "%" }), [400, "invalid"]);
    const made = await create({ audience: "users", userIds: ["hal"] });
    await post(made.body.broadcastId, "retract");
    const over = await post(made.body.broadcastId, "users", { userIds: ["ida"] });
    assert.deepEqual([over.status, over.body.code], [409, "broadcast_over"]);
  });

  it("refuses more than may be planned, and names users of a tenant to itself only", async () => {
    const theirs = await api.key({ tenant: "acme" });
    const body = { contentType: "text/plain", content: "x", audience: "users", notAfterMs: inAnHour() };
    const made = await api.call({
      ...{ method: "POST", path: "/v1/broadcasts", key: theirs, body: { ...body, userIds: ["ann"] } },
    });
    assert.equal(made.status, 201);
    assert.ok((await api.store.broadcasts.readers(["acme/ann"])).has("acme/ann"));
    assert.equal((await read(made.body.broadcastId)).code, "not_found");
    const { broadcasts } = api.store;
    const create = broadcasts.create.bind(broadcasts);
    broadcasts.create = async () => "full";
    const full = await api.call({ method: "POST", path: "/v1/broadcasts", key, body: { ...body, userIds: ["ann"] } });
    broadcasts.create = create;
    assert.deepEqual([full.status, full.body.code], [409, "too_many_broadcasts"]);
  });
});
