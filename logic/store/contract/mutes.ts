// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Mute } from "../mutes.ts";
import { type ContractStore, user } from "./fixture.ts";

const HOUR_MS = 3_600_000;

/** Users who may not write for a while. */
export function muteContract(store: () => ContractStore): void {
  /** The last version that anybody has written. */
  const newest = async (): Promise<number> => {
    let version = 0;
    for (;;) {
      const page = await store().mutes.after(version, 1000);
      if (page.mutes.length === 0) return version;
      version = page.version;
    }
  };
  const shown = ({ userId, reason, leftMs }: Mute) => ({ userId, reason, isMuted: leftMs > 0 });

  it("mutes a user for a while, until the last word", async () => {
    const { mutes } = store();
    const userId = user();
    assert.equal(await mutes.find(userId), undefined);
    assert.equal(await mutes.set(userId, HOUR_MS, "spam"), true);
    const first = await mutes.find(userId);
    assert.ok(first && first.leftMs > HOUR_MS - 60_000 && first.leftMs <= HOUR_MS, String(first?.leftMs));
    assert.equal(first.reason, "spam");
    assert.equal(await mutes.set(userId, 2 * HOUR_MS, "more spam"), true);
    const second = await mutes.find(userId);
    assert.ok(second && second.untilMs > first.untilMs && second.reason === "more spam");
    assert.equal(await mutes.set(userId, 0, ""), true);
    assert.equal(await mutes.find(userId), undefined);
    assert.equal(await mutes.set(user(), 0, ""), true, "of somebody who is not muted, too");
  });

  it("tells what changed after a version, in its order, each user once by its last state", async () => {
    const { mutes } = store();
    const [a, b, c] = [user(), user(), user()];
    const from = await newest();
    for (const [userId, forMs] of [
      [a, HOUR_MS],
      [b, HOUR_MS],
      [a, 0],
      [c, HOUR_MS],
    ] as const)
      await mutes.set(userId, forMs, forMs > 0 ? "r" : "");
    const own = new Set([a, b, c]);
    const seen: Mute[] = [];
    let version = from;
    for (let page = await mutes.after(version, 1); page.mutes.length > 0; page = await mutes.after(version, 1)) {
      assert.ok(page.version > version && page.mutes.length === 1);
      version = page.version;
      seen.push(...page.mutes.filter(({ userId }) => own.has(userId)));
    }
    assert.deepEqual(seen.map(shown), [
      { userId: b, reason: "r", isMuted: true },
      { userId: a, reason: "", isMuted: false },
      { userId: c, reason: "r", isMuted: true },
    ]);
    assert.deepEqual(await mutes.after(version, 10), { mutes: [], version, newest: version });
    assert.equal((await mutes.after(from, 1)).newest, version);
  });

  it("forgets what was over long ago, and nothing that is not", async () => {
    const { mutes } = store();
    const [over, muted] = [user(), user()];
    await mutes.set(over, HOUR_MS, "r");
    await mutes.set(over, 0, "");
    await mutes.set(muted, HOUR_MS, "r");
    assert.ok((await mutes.prune(1000)) >= 1);
    assert.equal(await mutes.prune(1000), 0);
    assert.ok(await mutes.find(muted));
  });
}
