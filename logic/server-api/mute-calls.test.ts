// SPDX-License-Identifier: Apache-2.0
// Who may not write, by the API and on the way of a message.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { TestApi } from "./api-kit.ts";

const MINUTE_MS = 60_000;

describe("users that are muted by the server API", () => {
  let api: TestApi;
  let key: string;
  before(async () => {
    api = await new TestApi().start();
    key = await api.key();
    assert.equal((await api.entry.login(1, "ann")).kind, "ok");
    assert.equal((await api.entry.login(2, "bob")).kind, "ok");
  });
  after(() => api.close());

  const post = (path: string, body: object, as = key) => api.call({ method: "POST", path, key: as, body });
  const read = (userId: string) => api.call({ method: "GET", path: `/v1/users/${userId}/mute`, key });
  const send = (conn: number, to: string, clientMessageId: string) =>
    api.entry.message(conn, { to, clientMessageId, contentType: "text/plain", content: Buffer.from("hi") });

  it("hear so with a stable code, read on, and write again when it is over", async () => {
    const sent = await send(1, "bob", "before");
    assert.equal(sent.kind, "ok");
    const muted = await post("/v1/users/ann/mute", { forMs: MINUTE_MS, reason: "three complaints" });
    const untilMs = api.clock.wallMs() + MINUTE_MS;
    assert.deepEqual([muted.status, muted.body], [200, { muted: true, untilMs, reason: "three complaints" }]);
    const refused = await send(1, "bob", "during");
    assert.equal(refused.kind, "error");
    const { code, rule, reason, retryAfterMs } = refused.error;
    assert.deepEqual([code, rule, reason, retryAfterMs], [ErrorCode.BOUNCED, "muted", "three complaints", MINUTE_MS]);
    assert.equal((await send(1, "bob", "before")).kind, "ok", "a resend of what is stored is stored none the less");
    assert.equal((await send(2, "ann", "to-ann")).kind, "ok", "others write to it");
    api.clock.advance(MINUTE_MS);
    assert.equal((await send(1, "bob", "during")).kind, "ok");
    assert.deepEqual((await read("ann")).body, { muted: false, untilMs: 0, reason: "" });
  });

  it("write again at once when they are let", async () => {
    await post("/v1/users/bob/mute", { forMs: MINUTE_MS });
    assert.equal((await send(2, "ann", "b-1")).kind, "error");
    assert.equal((await read("bob")).body.muted, true);
    assert.equal((await post("/v1/users/bob/unmute", {})).status, 204);
    assert.equal((await send(2, "ann", "b-1")).kind, "ok");
    assert.equal((await post("/v1/users/never-muted/unmute", {})).status, 204);
  });

  it("are of the key's tenant", async () => {
    const acme = await api.key({ tenant: "acme" });
    assert.equal((await post("/v1/users/ann/mute", { forMs: MINUTE_MS }, acme)).status, 200);
    assert.equal((await read("ann")).body.muted, false);
    assert.equal((await send(1, "bob", "a-2")).kind, "ok");
  });

  it("are muted for a bounded time", async () => {
    for (const forMs of [0, 999, 367 * 86_400_000]) {
      const { status, body } = await post("/v1/users/ann/mute", { forMs });
      assert.deepEqual([status, body.code], [400, "invalid"], String(forMs));
    }
  });
});
