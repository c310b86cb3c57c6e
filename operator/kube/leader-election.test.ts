// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { LeaderElection } from "./leader-election.ts";
import { type LeaseAccess, LeaseStore, settle } from "./testing/lease-store.ts";

interface Candidate {
  election: LeaderElection;
  access: LeaseAccess;
  log: string[];
}

function candidate(store: LeaseStore, clock: FakeClock, identity: string): Candidate {
  const log: string[] = [];
  const access = store.access();
  const election = new LeaderElection({
    client: access,
    namespace: "ns",
    name: "operator",
    identity,
    clock,
    log: silentLogger,
    random: () => 0,
    onLeading: () => log.push("leading"),
    onLost: (reason) => log.push(`lost: ${reason}`),
  });
  return { election, access, log };
}

async function advance(clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    await settle();
    clock.advance(Math.min(100, left));
  }
  await settle();
}

test("the first leads, the second takes over 15 s after the last renewal it saw", async () => {
  const clock = new FakeClock();
  const store = new LeaseStore(clock);
  const [a, b] = [candidate(store, clock, "a"), candidate(store, clock, "b")];
  a.election.start();
  await advance(clock, 100);
  b.election.start();
  await advance(clock, 20_000);
  assert.deepEqual([a.election.isLeader, b.election.isLeader, b.election.leader], [true, false, "a"]);
  assert.equal(store.lease?.spec.leaseDurationSeconds, 15);

  a.access.isCutOff = true;
  const cutAtMs = clock.nowMs();
  while (a.election.isLeader) await advance(clock, 100);
  assert.ok(clock.nowMs() - cutAtMs <= 10_000, "the leader gives up within its renew deadline");
  assert.deepEqual(a.log, ["leading", "lost: not renewed for 10000 ms"]);
  while (!b.election.isLeader) await advance(clock, 100);
  const tookMs = clock.nowMs() - cutAtMs;
  assert.ok(tookMs > 12_000 && tookMs < 20_000, `taken over after ${tookMs} ms`);
  assert.equal(store.lease?.spec.leaseTransitions, 1);
  await b.election.close();
});

test("an orderly stop hands over at once and calls nobody", async () => {
  const clock = new FakeClock();
  const store = new LeaseStore(clock);
  const [a, b] = [candidate(store, clock, "a"), candidate(store, clock, "b")];
  a.election.start();
  await advance(clock, 100);
  b.election.start();
  await advance(clock, 4_000);
  const closing = a.election.close();
  await advance(clock, 100);
  await closing;
  assert.equal(store.lease?.spec.holderIdentity, "");
  await advance(clock, 2_000);
  assert.equal(b.election.isLeader, true);
  assert.deepEqual(a.log, ["leading"]);
  await b.election.close();
  assert.equal(clock.pending, 0);
});

test("a leader that was frozen past its deadline knows it before any timer ran", async () => {
  const clock = new FakeClock();
  const store = new LeaseStore(clock);
  const a = candidate(store, clock, "a");
  a.election.start();
  await advance(clock, 100);
  assert.equal(a.election.isLeader, true);
  let seen: boolean | undefined;
  clock.after(10_001, () => {
    seen = a.election.isLeader;
  });
  // One leap: no answer to a renewal can come in between.
  clock.advance(10_001);
  assert.equal(seen, false);
  assert.equal(a.log.length, 2);
});

test("a renewal whose answer was lost is found out, not mistaken for a rival", async () => {
  const clock = new FakeClock();
  const store = new LeaseStore(clock);
  const a = candidate(store, clock, "a");
  a.election.start();
  await advance(clock, 100);
  a.access.losesAnswers = 1;
  await advance(clock, 30_000);
  assert.equal(a.election.isLeader, true);
  assert.deepEqual(a.log, ["leading"]);
  await a.election.close();
});

test("a Lease that is removed under its leader comes back, and standbys still wait", async () => {
  const clock = new FakeClock();
  const store = new LeaseStore(clock);
  const [a, b] = [candidate(store, clock, "a"), candidate(store, clock, "b")];
  a.election.start();
  await advance(clock, 100);
  b.election.start();
  await advance(clock, 3_500);
  store.lease = undefined;
  for (let ms = 0; ms < 20_000; ms += 100) {
    await advance(clock, 100);
    assert.ok(!b.election.isLeader);
  }
  assert.equal(a.election.isLeader, true);
  await Promise.all([a.election.close(), b.election.close()]);
});

test("a lease that another holds is lost at once", async () => {
  const clock = new FakeClock();
  const store = new LeaseStore(clock);
  const a = candidate(store, clock, "a");
  a.election.start();
  await advance(clock, 100);
  store.overwrite("thief");
  await advance(clock, 2_100);
  assert.deepEqual(a.log, ["leading", 'lost: the lease is held by "thief"']);
  assert.equal(a.election.isLeader, false);
});

test("times that cannot be safe are refused", () => {
  const clock = new FakeClock();
  const store = new LeaseStore(clock);
  const options = { client: store.access(), namespace: "ns", name: "x", identity: "a", log: silentLogger };
  const callbacks = { onLeading: () => undefined, onLost: () => undefined };
  assert.throws(() => new LeaderElection({ ...options, ...callbacks, renewDeadlineMs: 15_000 }), RangeError);
  assert.throws(() => new LeaderElection({ ...options, ...callbacks, retryPeriodMs: 10_000 }), RangeError);
});
