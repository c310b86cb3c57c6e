// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { MemoryRouter } from "../router/memory.ts";
import { MemoryStore } from "../store/memory.ts";
import { auditRoutes } from "./audit.ts";

/** Entries of pods `pod-0`, `pod-1`, ... with one session each, registered five minutes ago; no lease is left. */
async function setUp(entries: number) {
  const clock = new FakeClock(1_000);
  const store = new MemoryStore(() => clock.nowMs());
  const router = new MemoryRouter(clock);
  const fenced: string[] = [];
  let held = 0;
  const ports = {
    ...{ store, router, log: silentLogger, onFenced: (incarnation: string) => void fenced.push(incarnation) },
    metrics: { purgesHeld: { inc: () => void held++ } as never },
  };
  const start = async (podUid: string, users: readonly string[] = [podUid]): Promise<string> => {
    const { incarnation } = await store.registerEntry({ podUid, podName: podUid, version: "1" });
    const loginSeq = Number(incarnation.split(".")[1]);
    await router.login(
      users.map((userId, at) => ({ userId, slot: "web", incarnation, conn: at + 1, loginSeq, deviceId: "d" })),
    );
    return incarnation;
  };
  const incarnations: string[] = [];
  for (let at = 0; at < entries; at++) incarnations.push(await start(`pod-${at}`));
  const renew = async (...pods: number[]): Promise<void> => {
    for (const at of pods) await router.renewLease(incarnations[at] ?? "");
  };
  clock.advance(300_000);
  const livingOf = (...pods: number[]) =>
    pods.map((at) => ({ podUid: `pod-${at}`, incarnation: incarnations[at] ?? "" }));
  const audit = (living: { podUid: string; incarnation: string }[], force = false, cursor = "") =>
    auditRoutes(ports, { living, force, cursor });
  return { clock, store, router, start, incarnations, livingOf, audit, renew, fenced, held: () => held };
}

const routesOf = async (router: MemoryRouter, incarnation: string) => (await router.inspect([incarnation]))[0]?.routes;

describe("AuditRoutes", () => {
  it("finds nothing where every entry lives", async () => {
    const { audit, livingOf, fenced } = await setUp(3);
    assert.equal((await audit(livingOf(0, 1, 2))).incarnations, 0, "without a lease, too");
    assert.deepEqual(await audit(livingOf(0, 1, 2)), {
      ...{ cursor: "", incarnations: 0, routesDeleted: 0, routesRemaining: 0 },
    });
    assert.deepEqual(fenced, []);
  });

  it("takes away an entry whose pod is gone, for good", async () => {
    const { audit, livingOf, router, store, incarnations, renew, fenced } = await setUp(3);
    const [, gone = ""] = incarnations;
    await renew(0, 2);
    assert.deepEqual(await audit(livingOf(0, 2)), {
      ...{ cursor: "", incarnations: 1, routesDeleted: 1, routesRemaining: 0 },
    });
    assert.equal(await store.entryState(gone), "dead");
    assert.equal(await router.renewLease(gone), "fenced");
    assert.deepEqual(fenced, [gone]);
    assert.equal((await audit(livingOf(0, 2))).routesDeleted, 0, "a repetition finds nothing");
    assert.equal((await router.lookup(["pod-0", "pod-2"])).size, 2);
  });

  it("leaves one alone that nobody knows but that holds a lease, until the lease is over", async () => {
    const { audit, livingOf, renew, store, incarnations, clock } = await setUp(2);
    await renew(0, 1);
    assert.deepEqual(await audit(livingOf(0)), { cursor: "", incarnations: 0, routesDeleted: 0, routesRemaining: 0 });
    assert.equal(await store.entryState(incarnations[1] ?? ""), "live");
    clock.advance(15_000);
    assert.equal((await audit(livingOf(0))).routesDeleted, 1);
  });

  it("takes away what a restarted container left, and leaves its pod alone", async () => {
    const { audit, livingOf, router, store, start, incarnations, renew } = await setUp(2);
    const [before = ""] = incarnations;
    await renew(0, 1);
    const now = await start("pod-0", ["zoe"]);
    await router.renewLease(now);
    const living = [{ podUid: "pod-0", incarnation: now }, ...livingOf(1)];
    assert.equal((await audit(living)).routesDeleted, 1);
    assert.equal(await store.entryState(before), "dead");
    assert.equal(await store.entryState(now), "live");
    assert.equal((await router.lookup(["zoe"])).size, 1);
    assert.equal((await store.entryDeaths("pod-1", 60_000)).recent, 0, "the pod lives");
  });

  it("touches nothing of a pod that did not tell, nor of one that has just started", async () => {
    const { audit, livingOf, start, fenced, clock } = await setUp(2);
    await start("pod-0", ["yan"]);
    await start("pod-9", ["xia"]);
    const living = [{ podUid: "pod-0", incarnation: "" }, ...livingOf(1)];
    assert.equal((await audit(living)).incarnations, 0);
    clock.advance(60_000);
    assert.equal((await audit(living)).routesDeleted, 1, "after a minute a pod would be known");
    assert.deepEqual(fenced, ["pod-9.4"]);
  });

  it("finds what came back of an entry that was declared dead", async () => {
    const { audit, livingOf, router, store, incarnations } = await setUp(2);
    const [dead = ""] = incarnations;
    await store.fenceEntries("pod-0");
    assert.equal(await routesOf(router, dead), 1, "as after a restart of Redis from an old dump");
    assert.equal((await audit(livingOf(1))).routesDeleted, 1);
    assert.equal(await routesOf(router, dead), 0);
    assert.equal(await router.renewLease(dead), "fenced");
  });

  it("holds back when a third of the fleet seems to be gone, and goes on when that was long ago or by order", async () => {
    const { audit, livingOf, store, incarnations, held, clock } = await setUp(10);
    const reply = await audit(livingOf(0, 1, 2));
    assert.deepEqual([reply.routesDeleted, reply.routesRemaining], [3, 4], "three of ten are no accident yet");
    assert.equal(held(), 4);
    const alive = await Promise.all(incarnations.map((one) => store.entryState(one)));
    assert.equal(alive.filter((state) => state === "live").length, 7, "who is held back is not fenced");
    clock.advance(60_000);
    const later = await audit(livingOf(0, 1, 2));
    assert.deepEqual([later.routesDeleted, later.routesRemaining], [2, 2], "two of seven, then it holds again");
    const ordered = await audit(livingOf(0, 1, 2), true);
    assert.deepEqual([ordered.routesDeleted, ordered.routesRemaining], [2, 0]);
  });

  it("does not hold back for entries of which nothing is left", async () => {
    const { audit, livingOf, router, store, incarnations, held, clock } = await setUp(5);
    clock.advance(60_000);
    for (const one of incarnations.slice(1)) await router.purge(one);
    const reply = await audit(livingOf(0));
    assert.deepEqual([reply.incarnations, reply.routesDeleted, reply.routesRemaining], [4, 0, 0]);
    assert.equal(held(), 0);
    assert.equal(await store.entryState(incarnations[1] ?? ""), "live");
  });

  it("goes page by page through more starts than one call looks at", async () => {
    const { audit, store, router, start, livingOf, clock } = await setUp(1);
    for (let at = 0; at < 520; at++) await store.registerEntry({ podUid: "pod-x", podName: "x", version: "1" });
    const last = await start("pod-y", ["u"]);
    clock.advance(60_000);
    const first = await audit(livingOf(0));
    assert.notEqual(first.cursor, "");
    assert.equal(await routesOf(router, last), 1);
    const second = await audit(livingOf(0), false, first.cursor);
    assert.equal(second.cursor, "");
    assert.deepEqual([first.incarnations + second.incarnations, second.routesDeleted], [521, 1]);
  });

  it("refuses a list that no fleet can have, and fails as a whole when the router is away", async () => {
    const { audit, router, livingOf } = await setUp(2);
    const many = Array.from({ length: 1_001 }, (_, at) => ({ podUid: `p${at}`, incarnation: "" }));
    await assert.rejects(audit(many), { code: ErrorCode.BAD_REQUEST, message: /1001 pods/ });
    router.isDown = true;
    await assert.rejects(audit(livingOf(0)), { code: ErrorCode.RETRYABLE });
  });
});
