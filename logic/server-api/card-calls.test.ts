// SPDX-License-Identifier: Apache-2.0
// Cards by the API: what is signed, what is refused, and states that come in any order.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Card, openCard, signCard } from "../changes/card.ts";
import { CARD_TYPE, CHANGE_TYPE } from "../store/changes.ts";
import type { StoredEvent } from "../store/store.ts";
import { TestApi } from "./api-kit.ts";

const ORDER = { type: "order", ref: "o-1", version: 1, snapshot: { state: "new", lines: [{ cents: 5 }] } } as const;

describe("cards by the server API", () => {
  let api: TestApi;
  let key: string;
  before(async () => {
    api = await new TestApi().start();
    key = await api.key();
  });
  after(() => api.close());

  const post = (path: string, body: object, more: { key?: string; idempotencyKey?: string } = {}) =>
    api.call({ method: "POST", path, key, body, ...more });
  const send = (body: object, more = {}) => post("/v1/cards", { from: "svc:shop", ...body }, more);
  const report = (body: object, more = {}) => post("/v1/cards/states", { from: "svc:orders", ...body }, more);

  async function inboxOf(userId: string): Promise<StoredEvent[]> {
    return (await api.store.readInbox({ userId, cursor: 0, limit: 100, limitBytes: 1e6 })).events;
  }

  /** What is shown of the thing now, checked like a client's card: its signature counts. */
  async function shown(conversationId: string, ref: string): Promise<Card | string | undefined> {
    const place = await api.store.changes.findCard(conversationId, ref);
    return place && openCard(place.content, api.cardKeys, api.clock.wallMs());
  }

  it("are signed by the cluster, delivered, and recognised when they are sent again", async () => {
    const first = await send({ to: "ann", card: ORDER }, { idempotencyKey: "card-ann" });
    assert.equal(first.status, 201, JSON.stringify(first.body));
    const again = await send({ to: "ann", card: ORDER }, { idempotencyKey: "card-ann" });
    assert.deepEqual([again.body, again.headers["idempotent-replayed"]], [first.body, "true"]);
    const events = await inboxOf("ann");
    assert.deepEqual(
      events.map(({ contentType, sender }) => [contentType, sender]),
      [[CARD_TYPE, "svc:shop"]],
    );
    assert.deepEqual(await shown(String(first.body.conversationId), "o-1"), { ...ORDER, actions: [] });
  });

  it("may come signed by the shop, as long as they hold", async () => {
    const [own] = api.cardKeys;
    assert.ok(own);
    const card: Card = { ...ORDER, ref: "signed-1", actions: [{ id: "pay", label: "Pay" }] };
    const sent = await send({ to: "ann", signed: signCard(card, own) });
    assert.deepEqual(await shown(String(sent.body.conversationId), "signed-1"), card);
    const cases: [what: string, signed: string, detail: RegExp][] = [
      ["by another key", signCard(card, { id: own.id, secret: Buffer.alloc(32, 8) }), /not signed by this shop/],
      ["too old", signCard(card, own, Math.floor(api.clock.wallMs() / 1000) - 1), /too old/],
      ["altered", signCard(card, own).replace(/\.[^.]+\./, ".e30."), /not signed by this shop/],
    ];
    for (const [what, signed, detail] of cases) {
      const { status, body } = await send({ to: "ann", signed });
      assert.deepEqual([status, body.code], [400, "invalid"], what);
      assert.match(String(body.detail), detail, what);
    }
  });

  it("are refused with what to do", async () => {
    const deep = (levels: number): object => (levels === 0 ? {} : { in: deep(levels - 1) });
    const cases: [what: string, body: object, status: number, code: string, detail: RegExp][] = [
      ["no receiver", { card: ORDER }, 400, "invalid", /either to or conversationId/],
      ["two receivers", { to: "ann", conversationId: "c", card: ORDER }, 400, "invalid", /either to or conversationId/],
      ["no card", { to: "ann" }, 400, "invalid", /either card or signed/],
      ["to itself", { to: "svc:shop", card: ORDER }, 400, "invalid", /the account itself/],
      ["not a member", { conversationId: "nowhere", card: ORDER }, 404, "not_found", /no such conversation/],
      [
        "a button twice",
        { to: "ann", card: { ...ORDER, actions: Array(2).fill({ id: "a", label: "A" }) } },
        400,
        "invalid",
        /up to eight actions/,
      ],
      ["too deep", { to: "ann", card: { ...ORDER, snapshot: deep(16) } }, 400, "invalid", /at most 16 levels deep/],
      [
        "too large",
        { to: "ann", card: { ...ORDER, snapshot: { text: "x".repeat(17_000) } } },
        400,
        "invalid",
        /at most 16384 bytes/,
      ],
      ["half a character", { to: "ann", card: { ...ORDER, ref: "\ud800" } }, 400, "invalid", /ref/],
    ];
    for (const [what, body, status, code, detail] of cases) {
      const answer = await send(body);
      assert.deepEqual([answer.status, answer.body.code], [status, code], `${what} ${JSON.stringify(answer.body)}`);
      assert.match(String(answer.body.detail), detail, what);
    }
    assert.equal((await send({ to: "ann", card: { ...ORDER, ref: "deep", snapshot: deep(15) } })).status, 201);
    const infinite = await api.call({
      ...{ method: "POST", path: "/v1/cards", key },
      body: `{"from":"svc:shop","to":"ann","card":{"type":"item","ref":"r","version":1,"snapshot":{"n":1e999}}}`,
    });
    assert.match(String(infinite.body.detail), /numbers of 64 bits/);
    const keys = api.cardKeys;
    api.cardKeys = [];
    const off = await send({ to: "ann", card: ORDER });
    api.cardKeys = keys;
    assert.deepEqual([off.status, off.body.code], [403, "not_allowed"]);
    assert.match(String(off.body.detail), /spec\.chat\.cards\.keysSecretRef/);
  });

  it("show the highest state, whatever comes when, without a new bubble", async () => {
    const sent = await send({ to: "bea", card: { ...ORDER, ref: "o-9" } });
    const { conversationId, conversationSeq } = sent.body;
    const state = (version: number, text: string) => ({
      conversationId,
      ref: "o-9",
      version,
      snapshot: { state: text },
    });
    const paid = await report(state(3, "paid"));
    assert.deepEqual([paid.status, paid.body], [200, { conversationId, conversationSeq, version: 3, repeated: false }]);
    const late = await report(state(2, "reserved"), { idempotencyKey: "late" });
    assert.deepEqual([late.status, late.body.code, late.body.currentVersion], [409, "stale", 3]);
    const lateAgain = await report(state(2, "reserved"), { idempotencyKey: "late" });
    assert.deepEqual([lateAgain.status, lateAgain.body.currentVersion], [409, 3]);
    const twice = await report(state(3, "paid"));
    assert.deepEqual([twice.status, twice.body.repeated], [200, true]);
    assert.equal((await report(state(4, "shipped"))).status, 200);
    const now = await shown(String(conversationId), "o-9");
    assert.deepEqual(typeof now === "object" && [now.version, now.snapshot], [4, { state: "shipped" }]);
    const types = (await inboxOf("bea")).map(({ contentType }) => contentType.split(";")[0]);
    assert.deepEqual(types, [CARD_TYPE, CHANGE_TYPE, CHANGE_TYPE], "one bubble, and what changed it");
  });

  it("reach a device that is online as a change, and nobody by a push", async () => {
    const login = await api.entry.login(41, "dan");
    assert.equal(login.kind, "ok");
    const { body } = await send({ to: "dan", card: { ...ORDER, ref: "o-d" } });
    assert.equal((await api.entry.delivered(41)).contentType, CARD_TYPE);
    const pushes = api.intents.length;
    await report({ between: ["dan", "svc:shop"], ref: "o-d", version: 2, snapshot: {} });
    const place = await api.store.changes.findCard(String(body.conversationId), "o-d");
    assert.equal(place?.version, 2, "found by the two users, too");
    assert.equal((await api.entry.delivered(41)).contentType, CHANGE_TYPE);
    assert.equal(api.intents.length, pushes);
  });

  it("of another tenant are not there, in whatever way they are named", async () => {
    await send({ to: "eve", card: { ...ORDER, ref: "o-e" } });
    const mine = await send({ to: "eve", card: { ...ORDER, ref: "o-e" } });
    const acme = await api.key({ tenant: "acme" });
    const event = { ref: "o-e", version: 7, snapshot: {} };
    const { conversationId } = mine.body;
    for (const where of [{ conversationId }, { between: ["eve", "svc:shop"] }]) {
      const refused = await report({ ...where, ...event }, { key: acme });
      assert.deepEqual([refused.status, refused.body.code], [404, "not_found"]);
    }
    assert.equal((await api.store.changes.findCard(String(conversationId), "o-e"))?.version, 1);
    // Its own, of the same names.
    assert.equal((await send({ to: "eve", card: { ...ORDER, ref: "o-e" } }, { key: acme })).status, 201);
    const theirs = await report({ between: ["eve", "svc:shop"], ...event }, { key: acme });
    assert.deepEqual([theirs.status, theirs.body.version], [200, 7]);
    assert.equal((await api.store.changes.findCard(String(conversationId), "o-e"))?.version, 1);
  });

  it("lead nowhere without either or both of their names", async () => {
    const event = { ref: "o-1", version: 2, snapshot: {} };
    for (const where of [{}, { conversationId: "c", between: ["a", "b"] }])
      assert.match(String((await report({ ...where, ...event })).body.detail), /either conversationId or between/);
    const none = await report({ between: ["nobody", "svc:shop"], ...event });
    assert.deepEqual([none.status, none.body.code], [404, "not_found"]);
    const readOnly = await api.key({ scopes: ["cards:send"] });
    assert.equal((await report({ between: ["a", "b"], ...event }, { key: readOnly })).status, 403);
  });
});
