// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { hookOf } from "../hooks/hook-kit.ts";
import { HOOK_SHARDS } from "../store/hooks.ts";
import { TestApi } from "./api-kit.ts";

/** An API with a webhook of its tenant, one of another tenant, and three dead events of the first. */
async function setUp() {
  const api = await new TestApi().start();
  const shop = hookOf({ name: "shop", events: new Set(["presence"]) });
  api.hooks = { hooks: [shop, hookOf({ name: "theirs", tenant: "acme" })], before: [] };
  const { hooks } = api.store;
  await hooks.register(["shop", "theirs"]);
  await hooks.record(["a", "a", "a"].map((key) => ({ kind: "presence", id: randomUUID(), key, body: "{}" })));
  await hooks.collect(10);
  for (let at = 0; at < 3; at++) {
    const [claim] = await hooks.claim({ hooks: ["shop"], leaseMs: 1000, limit: HOOK_SHARDS });
    assert.ok(claim);
    const position = claim.position + 1;
    const dead = { position, reason: "the backend answered 400", tries: 15 };
    await hooks.settle(claim, { position, tries: 0, pauseMs: 0, dead });
  }
  const key = await api.key();
  const get = async (path: string, by = key) => (await api.call({ method: "GET", path, key: by })).body;
  const post = async (path: string, body: object, by = key) => await api.call({ method: "POST", path, key: by, body });
  return { api, get, post, store: hooks };
}

describe("webhooks in the server API", () => {
  it("are listed with how far they are, those of the tenant alone", async () => {
    const { api, get } = await setUp();
    assert.deepEqual(await get("/v1/hooks"), {
      hooks: [{ name: "shop", events: ["presence"], position: 0, oldestMs: 0, tries: 0, dead: 3 }],
    });
    const acme = await api.key({ tenant: "acme" });
    const theirs = (await get("/v1/hooks", acme)).hooks as { name: string; dead: number }[];
    assert.deepEqual(
      theirs.map(({ name, dead }) => [name, dead]),
      [["theirs", 0]],
    );
    api.close();
  });

  it("show what they did not take, page by page", async () => {
    const { api, get } = await setUp();
    const first = await get("/v1/hooks/shop/dead?limit=2");
    const events = first.events as Record<string, unknown>[];
    assert.deepEqual(
      events.map(({ position, type, key, tries, reason }) => [position, type, key, tries, reason]),
      [1, 2].map((position) => [position, "presence", "a", 15, "the backend answered 400"]),
    );
    const rest = await get(`/v1/hooks/shop/dead?limit=2&cursor=${first.nextCursor}`);
    assert.deepEqual([(rest.events as object[]).length, rest.nextCursor], [1, undefined]);
    assert.equal((await get("/v1/hooks/shop/dead?cursor=AAAA")).code, "invalid");
    assert.deepEqual(await get("/v1/hooks/theirs/dead"), { events: [] });
    assert.deepEqual(await get("/v1/hooks/nobodys/dead"), { events: [] });
    api.close();
  });

  it("are told again, and not by another tenant", async () => {
    const { api, get, post, store } = await setUp();
    const acme = await api.key({ tenant: "acme" });
    const replay = async (body: object, by?: string) => (await post("/v1/hooks/shop/dead/replay", body, by)).body;
    assert.deepEqual(await replay({}, acme), { replayed: 0 });
    assert.deepEqual(await replay({ positions: [2, 77] }), { replayed: 1 });
    assert.deepEqual(await replay({}), { replayed: 2 });
    assert.deepEqual(await get("/v1/hooks/shop/dead"), { events: [] });

    const rewind = async (body: object, by?: string) => (await post("/v1/hooks/shop/rewind", body, by)).body;
    const told = async () => (await store.claim({ hooks: ["shop"], leaseMs: 0, limit: HOOK_SHARDS })).length;
    assert.deepEqual([await rewind({ by: "position", from: 1 }, acme), await told()], [{ rewound: false }, 0]);
    assert.deepEqual(await rewind({ by: "time", from: api.clock.wallMs() + 60_000 }), { rewound: true });
    assert.equal(await told(), 0);
    assert.deepEqual([await rewind({ by: "position", from: 0 }), await told()], [{ rewound: true }, 1]);
    assert.equal((await post("/v1/hooks/nobodys/rewind", { by: "position", from: 1 })).body.rewound, false);
    assert.equal((await post("/v1/hooks/shop/rewind", { by: "place", from: 1 })).status, 400);
    assert.equal((await post("/v1/hooks/Shop!/rewind", { by: "time", from: 1 })).status, 400);
    const audit = (await get("/v1/audit")).entries as { operation: string; target: string }[];
    assert.ok(audit.some(({ operation, target }) => operation === "rewindHook" && target === "shop"));
    api.close();
  });
});
