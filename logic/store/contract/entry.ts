// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import type { EntryStart } from "../store.ts";
import type { ContractStore } from "./fixture.ts";

/** Entries, their fencing, and the store itself. */
export function entryContract(store: () => ContractStore): void {
  const register = async (podUid: string): Promise<string> =>
    (await store().registerEntry({ podUid, podName: "demo-entry-abcde", version: "0.1.0" })).incarnation;

  it("names every start of an entry anew", async () => {
    const podUid = randomUUID();
    const incarnations = await Promise.all(Array.from({ length: 5 }, () => register(podUid)));
    assert.equal(new Set(incarnations).size, 5);
    for (const incarnation of incarnations) assert.match(incarnation, new RegExp(`^${podUid}\\.[1-9][0-9]*$`));
  });

  it("fences all incarnations of one pod, for ever", async () => {
    const [pod, otherPod] = [randomUUID(), randomUUID()];
    const [first, second, other] = [await register(pod), await register(pod), await register(otherPod)];
    assert.equal(await store().entryState(first), "live");
    assert.deepEqual((await store().fenceEntries(pod)).sort(), [first, second].sort());
    assert.deepEqual(await Promise.all([first, second, other].map((one) => store().entryState(one))), [
      "dead",
      "dead",
      "live",
    ]);
    assert.deepEqual((await store().fenceEntries(pod)).sort(), [first, second].sort());
    assert.deepEqual(await store().fenceEntries(randomUUID()), []);
    assert.equal(await store().entryState("never registered"), "unknown");
  });

  it("counts the pods that died lately, by pod, without the one in question", async () => {
    const pods = [randomUUID(), randomUUID(), randomUUID()] as const;
    for (const pod of [...pods, pods[0]]) await register(pod);
    const before = await store().entryDeaths(pods[0], 60_000);
    assert.equal(before.isDead, false);
    await store().fenceEntries(pods[0]);
    await store().fenceEntries(pods[1]);
    await store().fenceEntries(pods[1]);
    const after = await store().entryDeaths(pods[0], 60_000);
    assert.deepEqual(after, { known: before.known, recent: before.recent + 1, isDead: true });
    const third = await store().entryDeaths(pods[2], 60_000);
    assert.deepEqual(third, { known: before.known, recent: before.recent + 2, isDead: false });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const later = await store().entryDeaths(pods[2], 10);
    assert.ok(later.known <= before.known - 2, "the dead of long ago are not of the fleet");
    assert.equal(later.recent, 0);
  });

  it("counts a pod as dead when its last start is", async () => {
    const [pod, other] = [randomUUID(), randomUUID()];
    const first = await register(pod);
    await register(other);
    await store().fenceIncarnation(first);
    const before = await store().entryDeaths(other, 60_000);
    assert.equal((await store().entryDeaths(pod, 60_000)).isDead, true);
    const second = await register(pod);
    assert.deepEqual(await store().entryDeaths(other, 60_000), { ...before, recent: before.recent - 1 });
    assert.equal((await store().entryDeaths(pod, 60_000)).isDead, false);
    assert.equal(await store().entryState(second), "live");
    assert.deepEqual((await store().fenceEntries(pod)).sort(), [first, second].sort());
    assert.deepEqual(await store().entryDeaths(other, 60_000), before);
  });

  it("fences one start of a pod, and tells all starts page by page", async () => {
    const [pod, other] = [randomUUID(), randomUUID()];
    const made = [await register(pod), await register(pod), await register(other)].sort();
    await store().fenceIncarnation(made[1] ?? "");
    await store().fenceIncarnation(made[1] ?? "");
    await store().fenceIncarnation("never registered");
    const mine: EntryStart[] = [];
    let pages = 0;
    for (let cursor = ""; ; pages++) {
      const page = await store().entryStarts(cursor, 2);
      mine.push(...page.filter(({ incarnation }) => made.includes(incarnation)));
      const last = page.at(-1)?.incarnation;
      if (page.length < 2 || !last) break;
      assert.ok(last > cursor, "in order");
      cursor = last;
    }
    assert.ok(pages >= 1);
    assert.deepEqual(
      mine.map(({ incarnation, podUid, isDead }) => [incarnation, podUid, isDead]),
      made.map((one, at) => [one, one.slice(0, one.lastIndexOf(".")), at === 1]),
    );
    for (const { ageMs } of mine) assert.ok(ageMs >= 0 && ageMs < 600_000, String(ageMs));
  });

  it("has an epoch and answers ping", async () => {
    assert.match(store().epoch, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(await store().ping(), store().epoch);
  });
}
