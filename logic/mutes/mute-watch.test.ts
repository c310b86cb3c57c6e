// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { MemoryMutes } from "../store/memory-mutes.ts";
import type { MuteStore } from "../store/mutes.ts";
import { MuteWatch } from "./mute-watch.ts";

const HOUR_MS = 3_600_000;

function setUp(wrap: (store: MuteStore) => Pick<MuteStore, "after" | "prune"> = (store) => store) {
  const clock = new FakeClock();
  const store = new MemoryMutes(() => clock.wallMs());
  const faults: string[] = [];
  const watch = new MuteWatch({ store: wrap(store), clock, onFault: (op) => void faults.push(op) });
  /** The next look of its own, and its end. */
  const nextLook = async (): Promise<void> => {
    clock.advance(1000);
    for (let at = 0; at < 10; at++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return { clock, store, faults, watch, nextLook };
}

const judged = (watch: MuteWatch, sender: string) => {
  const { verdict, by, explanation, retryAfterMs } = watch.judge({ sender });
  return [verdict, by, explanation, retryAfterMs];
};
const ALLOWED = ["allow", "", "", 0];

describe("MuteWatch", () => {
  it("knows at its start who is muted, however many they are", async () => {
    const { store, watch } = setUp();
    for (let at = 0; at < 1201; at++) await store.set(`u${at}`, HOUR_MS, "");
    await watch.start();
    assert.equal(watch.size, 1201);
    assert.deepEqual(judged(watch, "u1200"), ["bounce", "muted", "you may not write for a while", HOUR_MS]);
    assert.deepEqual(judged(watch, "other"), ALLOWED);
    watch.stop();
  });

  it("hears of others within a second, and of those who may write again", async () => {
    const { store, watch, nextLook } = setUp();
    await watch.start();
    await store.set("ann", HOUR_MS, "too much of the same");
    assert.deepEqual(judged(watch, "ann"), ALLOWED);
    await nextLook();
    assert.deepEqual(judged(watch, "ann").slice(0, 3), ["bounce", "muted", "too much of the same"]);
    await store.set("ann", 0, "");
    await nextLook();
    assert.deepEqual(judged(watch, "ann"), ALLOWED);
    assert.equal(watch.size, 0);
    watch.stop();
  });

  it("lets a user write when its time is over, without asking anybody", async () => {
    const { clock, store, watch } = setUp();
    await store.set("ann", 5000, "");
    await watch.poll();
    clock.advance(4999);
    assert.deepEqual(judged(watch, "ann").slice(0, 1), ["bounce"]);
    assert.equal(watch.leftMs("ann"), 1);
    clock.advance(1);
    assert.deepEqual(judged(watch, "ann"), ALLOWED);
  });

  it("says no longer wait than the wire has room for", async () => {
    const { store, watch } = setUp();
    await store.set("ann", 366 * 86_400_000, "");
    await watch.poll();
    assert.equal(watch.judge({ sender: "ann" }).retryAfterMs, 2 ** 31 - 1);
  });

  it("keeps what it knows while the store is away, and goes on when it is back", async () => {
    let isAway = false;
    const { store, watch, nextLook, faults } = setUp((inner) => ({
      after: async (version, limit) => {
        if (isAway) throw new ImError(ErrorCode.RETRYABLE, "away");
        return await inner.after(version, limit);
      },
      prune: (limit) => inner.prune(limit),
    }));
    await store.set("ann", HOUR_MS, "");
    await watch.start();
    isAway = true;
    await store.set("bob", HOUR_MS, "");
    await nextLook();
    assert.deepEqual([judged(watch, "ann")[0], judged(watch, "bob")[0]], ["bounce", "allow"]);
    assert.deepEqual(faults, ["mutes"]);
    isAway = false;
    await nextLook();
    assert.equal(judged(watch, "bob")[0], "bounce");
    watch.stop();
  });

  it("begins anew when the database is an older one", async () => {
    const stores: MuteStore[] = [];
    const { clock, store, watch } = setUp((inner) => ({
      after: (version, limit) => (stores[0] ?? inner).after(version, limit),
      prune: (limit) => inner.prune(limit),
    }));
    for (const userId of ["ann", "bob", "eve"]) await store.set(userId, HOUR_MS, "");
    await watch.poll();
    const older = new MemoryMutes(() => clock.wallMs());
    await older.set("bob", HOUR_MS, "");
    stores.push(older);
    await watch.poll();
    assert.deepEqual([judged(watch, "ann")[0], judged(watch, "bob")[0], watch.size], ["allow", "bounce", 1]);
  });

  it("asks no more once it is stopped, and forgets old ones now and then", async () => {
    let asked = 0;
    const { clock, store, watch } = setUp((inner) => ({
      after: (version, limit) => {
        asked++;
        return inner.after(version, limit);
      },
      prune: (limit) => inner.prune(limit),
    }));
    await store.set("ann", 1000, "");
    await watch.poll();
    clock.advance(2 * 86_400_000);
    for (let polls = 1; polls < 3600; polls++) await watch.poll();
    assert.equal(watch.size, 0);
    assert.equal(await store.prune(10), 0, "it is gone already");
    watch.stop();
    asked = 0;
    clock.advance(10_000);
    assert.equal(asked, 0);
  });
});
