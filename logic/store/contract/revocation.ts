// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import type { RevocationPage } from "../identity.ts";
import { type ContractStore, user } from "./fixture.ts";

const T = 1_700_000_000_000;

/** Revoked users and tokens. */
export function revocationContract(store: () => ContractStore): void {
  const login = (userId: string, tokenId: string, issuedAtMs: number) =>
    store().login({
      ...{ userId, slot: "web", deviceId: "d", deviceName: "d", platform: "web", appVersion: "" },
      token: { tokenId, issuedAtMs },
    });
  const all = async (from: number): Promise<RevocationPage> => store().revocationsAfter(from, 100_000);

  it("refuses tokens issued before a user was revoked, and no others", async () => {
    const [alice, bob] = [user(), user()];
    assert.equal((await login(alice, "", 0)).kind, "ok", "no token facts, nothing revoked");
    await store().revokeUser(alice, T);
    assert.deepEqual(await login(alice, "", T - 1), { kind: "revoked" });
    assert.deepEqual(await login(alice, "", 0), { kind: "revoked" });
    assert.equal((await login(alice, "", T)).kind, "ok");
    assert.equal((await login(bob, "", T - 1)).kind, "ok");
    await store().revokeUser(alice, T - 1000);
    assert.deepEqual(await login(alice, "", T - 1), { kind: "revoked" }, "never moves back");
    await store().revokeUser(alice, T + 1);
    assert.deepEqual(await login(alice, "", T), { kind: "revoked" });
  });

  it("refuses what was issued until now, by its own clock, when no time is named", async () => {
    const [alice, early, late] = [user(), Date.now() - 60_000, Date.now() + 60_000];
    await store().revokeUser(alice);
    assert.deepEqual(await login(alice, "", early), { kind: "revoked" });
    assert.equal((await login(alice, "", late)).kind, "ok");
  });

  it("refuses a revoked token, whoever shows it, until it is pruned after its expiry", async () => {
    const alice = user();
    const tokenId = randomUUID();
    await store().revokeToken(tokenId, T);
    await store().revokeToken(tokenId, T + 5);
    assert.deepEqual(await login(alice, tokenId, T), { kind: "revoked" });
    assert.equal((await login(alice, randomUUID(), T)).kind, "ok");
    await store().pruneRevokedTokens(T);
    assert.deepEqual(await login(alice, tokenId, T), { kind: "revoked" });
    await store().pruneRevokedTokens(T + 1);
    assert.equal((await login(alice, tokenId, T)).kind, "ok");
  });

  it("finds the revoked ones among many", async () => {
    const [alice, bob] = [user(), user()];
    const tokenId = randomUUID();
    await store().revokeUser(alice, T);
    await store().revokeToken(tokenId, T);
    const facts = [
      { userId: bob, tokenId: "", issuedAtMs: 0 },
      { userId: alice, tokenId: "", issuedAtMs: T - 1 },
      { userId: alice, tokenId: "x", issuedAtMs: T },
      { userId: bob, tokenId, issuedAtMs: T },
    ];
    assert.deepEqual(await store().findRevoked(facts), [1, 3]);
    assert.deepEqual(await store().findRevoked([]), []);
  });

  it("lists revocations by version, in portions, and misses none that come at the same time", async () => {
    const from = await store().revocationVersion();
    assert.deepEqual(await all(from), { version: from, users: [], tokenIds: [] });
    const users = Array.from({ length: 20 }, user);
    const tokenIds = Array.from({ length: 20 }, () => randomUUID());
    const seen = { users: new Set<string>(), tokens: new Set<string>() };
    let version = from;
    let isDone = false;
    const reader = async (): Promise<void> => {
      for (let isLast = false; !isLast; ) {
        isLast = isDone;
        const page = await store().revocationsAfter(version, 7);
        for (const { userId } of page.users) seen.users.add(userId);
        for (const tokenId of page.tokenIds) seen.tokens.add(tokenId);
        if (page.version > version) isLast = false;
        version = page.version;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const reading = reader();
    await Promise.all([
      ...users.map((userId) => store().revokeUser(userId, T)),
      ...tokenIds.map((tokenId) => store().revokeToken(tokenId, T)),
    ]);
    isDone = true;
    await reading;
    assert.deepEqual([...seen.users].sort(), users.sort());
    assert.deepEqual([...seen.tokens].sort(), tokenIds.sort());
    assert.ok((await store().revocationVersion()) >= version);
    await store().revokeUser(users[0] ?? "", T);
    assert.deepEqual((await all(version)).users, [], "nothing changed, nothing listed");
  });
}
