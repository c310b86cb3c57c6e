// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { it } from "node:test";
import { type ApiRequestState, MIN_AUDIT_KEEP_MS, type NewApiKey } from "../server-api-store.ts";
import type { ContractStore } from "./fixture.ts";

const LEASE_MS = 60_000;
const KEEP_MS = 3_600_000;

const newKey = (fields: Partial<NewApiKey> = {}): NewApiKey => ({
  keyId: randomUUID(),
  secretHash: randomBytes(32),
  tenant: "",
  name: "shop",
  scopes: ["messages:send", "users:read"],
  expiresMs: 0,
  ...fields,
});

const tenantOf = (): string => `t-${randomUUID().slice(0, 20)}`;

/** Keys of the server API. */
export function apiKeyContract(store: () => ContractStore): void {
  it("keeps API keys as they were made, and one of each id", async () => {
    const api = store().serverApi;
    const key = newKey({ tenant: "acme", expiresMs: 1_900_000_000_000 });
    assert.equal(await api.addKey(key), true);
    assert.equal(await api.addKey(newKey({ keyId: key.keyId, name: "another" })), false);
    const found = await api.findKey(key.keyId);
    assert.ok(found);
    const { secretHash, createdMs, ...rest } = found;
    const { secretHash: hash, ...given } = key;
    assert.deepEqual(rest, { ...given, revokedMs: 0 });
    assert.deepEqual(Buffer.from(secretHash), Buffer.from(hash));
    assert.ok(Math.abs(createdMs - Date.now()) < 60_000);
    assert.equal(await api.findKey(randomUUID()), undefined);
  });

  it("revokes API keys for good, also those that it does not know", async () => {
    const api = store().serverApi;
    const [key, unknown] = [newKey(), randomUUID()];
    await api.addKey(key);
    await api.revokeKey(key.keyId);
    const first = (await api.findKey(key.keyId))?.revokedMs ?? 0;
    assert.ok(first > 0);
    await api.revokeKey(key.keyId);
    assert.equal((await api.findKey(key.keyId))?.revokedMs, first);
    await api.revokeKey(unknown);
    const tombstone = await api.findKey(unknown);
    assert.deepEqual([tombstone?.secretHash.length, (tombstone?.revokedMs ?? 0) > 0], [0, true]);
    assert.equal(await api.addKey(newKey({ keyId: unknown })), false);
  });

  it("lists the API keys of one tenant, page by page", async () => {
    const api = store().serverApi;
    const [tenant, other] = [tenantOf(), tenantOf()];
    const keys = [1, 2, 3].map(() => newKey({ tenant }));
    for (const key of [...keys, newKey({ tenant: other })]) await api.addKey(key);
    const ids = keys.map(({ keyId }) => keyId).sort();
    const page = await api.listKeys(tenant, { after: "", limit: 2 });
    assert.deepEqual(
      page.map(({ keyId }) => keyId),
      ids.slice(0, 2),
    );
    const next = await api.listKeys(tenant, { after: ids[1] ?? "", limit: 2 });
    assert.deepEqual(
      next.map(({ keyId }) => keyId),
      ids.slice(2),
    );
  });
}

function leaseOf(state: ApiRequestState): number {
  assert.equal(state.kind, "begun");
  return state.kind === "begun" ? state.lease : 0;
}

/** Requests by their idempotency key. */
export function apiRequestContract(store: () => ContractStore): void {
  const digest = randomBytes(32);
  const start = (fields: { tenant?: string; idempotencyKey: string; leaseMs?: number; keepMs?: number }) => ({
    ...{ tenant: "", digest, leaseMs: LEASE_MS, keepMs: KEEP_MS },
    ...fields,
  });

  it("lets one caller begin a request, and gives the others its answer", async () => {
    const api = store().serverApi;
    const request = start({ idempotencyKey: randomUUID() });
    const lease = leaseOf(await api.beginRequest(request));
    const running = await api.beginRequest(request);
    assert.ok(running.kind === "running" && running.leftMs > 0 && running.leftMs <= LEASE_MS, JSON.stringify(running));
    const answer = { status: 201, body: '{"messageId":"m"}' };
    assert.equal(await api.finishRequest({ ...request, lease }, answer), true);
    assert.deepEqual(await api.beginRequest(request), { kind: "done", answer });
    assert.equal(await api.finishRequest({ ...request, lease }, { status: 500, body: "" }), false);
    assert.deepEqual(await api.beginRequest(request), { kind: "done", answer });
  });

  it("refuses another request under the same key, but not of another tenant", async () => {
    const api = store().serverApi;
    const request = start({ idempotencyKey: randomUUID() });
    leaseOf(await api.beginRequest(request));
    assert.deepEqual(await api.beginRequest({ ...request, digest: randomBytes(32) }), { kind: "conflict" });
    leaseOf(await api.beginRequest({ ...request, tenant: "acme", digest: randomBytes(32) }));
  });

  it("keeps answers without a body", async () => {
    const api = store().serverApi;
    const request = start({ idempotencyKey: randomUUID() });
    const lease = leaseOf(await api.beginRequest(request));
    await api.finishRequest({ ...request, lease }, { status: 204, body: "" });
    assert.deepEqual(await api.beginRequest(request), { kind: "done", answer: { status: 204, body: "" } });
  });

  it("lets the next one begin at once what was released", async () => {
    const api = store().serverApi;
    const request = start({ idempotencyKey: randomUUID() });
    const lease = leaseOf(await api.beginRequest(request));
    await api.releaseRequest({ ...request, lease: lease + 1 });
    assert.equal((await api.beginRequest(request)).kind, "running", "somebody else's hold is not released");
    await api.releaseRequest({ ...request, lease });
    leaseOf(await api.beginRequest(request));
  });

  it("gives a request to another caller when its lease is over, and only the last one's answer counts", async () => {
    const api = store().serverApi;
    const request = start({ idempotencyKey: randomUUID(), leaseMs: 0 });
    const first = leaseOf(await api.beginRequest(request));
    const second = leaseOf(await api.beginRequest(request));
    assert.notEqual(first, second);
    assert.equal(await api.finishRequest({ ...request, lease: first }, { status: 200, body: "1" }), false);
    await api.releaseRequest({ ...request, lease: first });
    assert.equal(await api.finishRequest({ ...request, lease: second }, { status: 200, body: "2" }), true);
    assert.deepEqual(await api.beginRequest(request), { kind: "done", answer: { status: 200, body: "2" } });
  });

  it("forgets answers whose time is over", async () => {
    const api = store().serverApi;
    const request = start({ idempotencyKey: randomUUID(), keepMs: 0 });
    const lease = leaseOf(await api.beginRequest(request));
    await api.finishRequest({ ...request, lease }, { status: 200, body: "1" });
    leaseOf(await api.beginRequest({ ...request, digest: randomBytes(32), keepMs: 0 }));
    assert.ok((await api.prune(MIN_AUDIT_KEEP_MS)) >= 1);
    assert.equal(await api.finishRequest({ ...request, lease }, { status: 200, body: "1" }), false);
  });

  it("has one winner when many begin the same request at once", async () => {
    const api = store().serverApi;
    const request = start({ idempotencyKey: randomUUID() });
    const states = await Promise.all(Array.from({ length: 8 }, () => api.beginRequest(request)));
    assert.deepEqual(states.map(({ kind }) => kind).sort(), ["begun", ...Array<string>(7).fill("running")]);
  });
}

/** Who did what. */
export function apiAuditContract(store: () => ContractStore): void {
  it("reads the audit log of one tenant, newest first, page by page", async () => {
    const api = store().serverApi;
    const [tenant, other] = [tenantOf(), tenantOf()];
    const row = (target: string, of = tenant) => ({
      ...{ tenant: of, keyId: "k", operation: "kickUser", target, status: 200 },
    });
    await api.appendAudit([]);
    await api.appendAudit([row("a"), row("x", other), row("b\"'\\ 好")]);
    await api.appendAudit([row("c")]);
    const page = await api.readAudit(tenant, { before: 0, limit: 2 });
    assert.deepEqual(
      page.map(({ target }) => target),
      ["c", "b\"'\\ 好"],
    );
    const [newest, second] = page;
    assert.ok(newest && second && newest.auditId > second.auditId && Math.abs(newest.atMs - Date.now()) < 60_000);
    const { auditId: _, atMs: __, ...fields } = newest;
    assert.deepEqual(fields, row("c"));
    const rest = await api.readAudit(tenant, { before: second.auditId, limit: 2 });
    assert.deepEqual(
      rest.map(({ target }) => target),
      ["a"],
    );
    await api.prune(MIN_AUDIT_KEEP_MS);
    assert.equal((await api.readAudit(tenant, { before: 0, limit: 10 })).length, 3, "young entries stay");
  });
}
