// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Clock, FakeClock } from "#lib/clock.ts";
import { Metrics } from "#lib/metrics.ts";
import { createLogicMetrics } from "../metrics.ts";
import { AckWatch } from "./ack-watch.ts";
import type { AckWheel } from "./ack-wheel.ts";
import { MemoryAckWheel } from "./ack-wheel-memory.ts";
import type { PushIntent } from "./offline.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp() {
  const clock = new FakeClock();
  const intents: PushIntent[] = [];
  const model = new MemoryAckWheel(clock, (intent) => void intents.push(intent));
  const calls: string[] = [];
  const fired: string[] = [];
  const faults: string[] = [];
  const registry = new Metrics();
  const metrics = createLogicMetrics(registry);
  const wheel: AckWheel = {
    update: (settled, armed) => {
      calls.push(
        [
          ...settled.map(({ userId, slot, inboxSeq }) => `${userId}/${slot} has ${inboxSeq}`),
          ...armed.map((one) => `${one.userId}/${one.slot} waits ${one.fromSeq}-${one.inboxSeq} ${one.dueInMs}`),
        ].join(", "),
      );
      return model.update(settled, armed);
    },
    fire: (shards) => model.fire(shards),
  };
  const open = (seen: Clock = clock): AckWatch =>
    new AckWatch({
      wheel,
      timeoutMs: 5000,
      clock: seen,
      random: () => 0.5,
      onFired: (all) => fired.push(...all.map(({ userId, inboxSeq }) => `${userId}/${inboxSeq} at ${clock.nowMs()}`)),
      onFault: (op) => void faults.push(op),
      metrics,
    });
  const elapse = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 50) {
      clock.advance(50);
      await turn();
    }
  };
  return { clock, model, intents, calls, fired, faults, registry, open, elapse };
}

describe("ack watch", () => {
  it("tells the wheel nothing of what is acknowledged at once, but how far it is", async () => {
    const { calls, open, elapse } = setUp();
    const watch = open();
    for (let seq = 1; seq <= 50; seq++) {
      watch.delivered("bob", "web", seq);
      watch.acknowledged("bob", "web", seq);
    }
    await elapse(1000);
    assert.deepEqual(calls, ["bob/web has 50"]);
  });

  it("gathers deliveries of one slot, and counts their time from the first", async () => {
    const { calls, open, elapse, clock } = setUp();
    const watch = open();
    watch.delivered("bob", "web", 4);
    await elapse(50);
    for (const seq of [6, 5, 3]) watch.delivered("bob", "web", seq);
    watch.delivered("bob", "mobile", 6);
    await elapse(550);
    assert.deepEqual(calls, ["bob/web waits 3-6 4700", "bob/mobile waits 6-6 4450"]);
    assert.equal(clock.pending, 0, "no timer while nothing is noted");
  });

  it("waits shorter or longer as the round trip of the connection is, which the first delivery tells", async () => {
    const { calls, open, elapse } = setUp();
    const watch = open();
    watch.delivered("bob", "web", 1, 100);
    watch.delivered("bob", "web", 2, 9000);
    watch.delivered("carol", "web", 1, 2000);
    watch.delivered("dave", "web", 1, 9000);
    watch.delivered("erin", "web", 1, 0);
    await elapse(500);
    const waits = calls.flatMap((call) => call.split(", "));
    assert.deepEqual(waits, [
      "bob/web waits 1-2 3100",
      "carol/web waits 1-1 10700",
      "dave/web waits 1-1 14700",
      "erin/web waits 1-1 4700",
    ]);
  });

  it("a long wait ends in time, and a short one that others noted meanwhile is not missed", async () => {
    const { fired, open, elapse } = setUp();
    const watch = open();
    watch.start();
    watch.delivered("carol", "web", 1, 2000);
    await elapse(10_900);
    assert.deepEqual(fired, []);
    await elapse(1000);
    assert.equal(fired.length, 1);
    assert.match(fired[0] ?? "", /^carol\/1 at 11[0-4]\d\d$/);
    watch.close();
  });

  it("waits only for what an acknowledgement leaves", async () => {
    const { calls, open, elapse } = setUp();
    const watch = open();
    for (const seq of [1, 2, 3, 4]) watch.delivered("bob", "web", seq);
    watch.acknowledged("bob", "web", 2);
    watch.acknowledged("bob", "web", 1);
    await elapse(400);
    assert.deepEqual(calls, ["bob/web has 2, bob/web waits 3-4 4700"]);
  });

  it("starts to wait anew with a delivery after an acknowledgement, for a whole tick", async () => {
    const { calls, open, elapse, clock } = setUp();
    const watch = open();
    for (let seq = 1; seq <= 9; seq++) {
      watch.delivered("bob", "web", seq);
      await elapse(200);
      watch.acknowledged("bob", "web", seq);
    }
    assert.ok(calls.every((call) => !call.includes("waits")));
    watch.delivered("bob", "web", 10);
    await elapse(600);
    assert.equal(calls.filter((call) => call.includes("bob/web waits 10-10")).length, 1);
    await elapse(1000);
    assert.equal(clock.pending, 0, "and then it is forgotten");
  });

  it("tells of a slot that acknowledges all the time every 600 ms, and of each slot soon", async () => {
    const { calls, open, elapse } = setUp();
    const watch = open();
    for (let seq = 1; seq <= 48; seq++) {
      watch.acknowledged("bob", "web", seq);
      await elapse(50);
    }
    assert.equal(calls.length, 4, calls.join("; "));
    watch.acknowledged("carol", "web", 1);
    await elapse(350);
    assert.ok(calls.some((call) => call.includes("carol/web has 1")));
    await elapse(600);
    assert.ok(
      calls.some((call) => call.includes("bob/web has 48")),
      "the last one is told too",
    );
  });

  it("fires for who does not acknowledge, 5 s after the delivery and a look later at most", async () => {
    const { intents, fired, open, elapse, registry } = setUp();
    const watch = open();
    watch.start();
    await elapse(10_000);
    watch.delivered("bob", "web", 1);
    watch.delivered("carol", "web", 7);
    await elapse(300);
    watch.acknowledged("carol", "web", 7);
    await elapse(4600);
    assert.deepEqual(fired, []);
    assert.equal(watch.pending, 1);
    await elapse(400);
    assert.equal(fired.length, 1);
    assert.match(fired[0] ?? "", /^bob\/1 at 15[012]\d\d$/);
    assert.deepEqual(intents, [{ userId: "bob", inboxSeq: 1, cause: "timeout", slot: "web" }]);
    assert.match(await registry.render(), /im_ack_timeouts_total 1/);
    watch.close();
  });

  it("fires what another process noted before it died", async () => {
    const { intents, open, elapse } = setUp();
    const [dead, alive] = [open(), open()];
    alive.start();
    dead.delivered("bob", "web", 1);
    await elapse(300);
    dead.close();
    await elapse(5200);
    assert.deepEqual(intents, [{ userId: "bob", inboxSeq: 1, cause: "timeout", slot: "web" }]);
    alive.close();
  });

  it("goes on when the wheel was away, and says what it could not tell", async () => {
    const { model, intents, faults, open, elapse, registry } = setUp();
    const watch = open();
    watch.start();
    model.isDown = true;
    watch.delivered("bob", "web", 1);
    await elapse(1000);
    assert.ok(faults.includes("ack wheel update") && faults.includes("ack wheel"));
    assert.match(await registry.render(), /im_ack_dropped_total 1/);
    model.isDown = false;
    watch.delivered("carol", "web", 2);
    await elapse(5400);
    assert.deepEqual(
      intents.map(({ userId }) => userId),
      ["carol"],
    );
    watch.close();
  });

  it("reads what waits behind a standstill before it decides", async () => {
    const { clock, calls, intents, open } = setUp();
    let stoodStillMs = 0;
    const watch = open({
      wallMs: () => clock.wallMs(),
      after: clock.after.bind(clock),
      nowMs: () => clock.nowMs() + stoodStillMs,
    });
    watch.start();
    watch.delivered("bob", "web", 1);
    clock.advance(60);
    // Timers that were due meanwhile come first; the acknowledgement is read after them.
    stoodStillMs = 20_000;
    clock.advance(140);
    await turn();
    assert.deepEqual([calls, intents], [[], []]);
    watch.acknowledged("bob", "web", 1);
    for (let at = 0; at < 60; at++) {
      clock.advance(100);
      await turn();
    }
    assert.deepEqual([calls, intents], [["bob/web has 1"], []]);
    watch.close();
  });

  it("tells everything when the process ends, and releases its timers", async () => {
    const { clock, calls, open } = setUp();
    const watch = open();
    watch.start();
    watch.delivered("bob", "web", 1);
    watch.acknowledged("carol", "web", 9);
    await watch.flush();
    assert.deepEqual(calls, ["carol/web has 9, bob/web waits 1-1 5000"]);
    watch.close();
    watch.delivered("bob", "web", 2);
    assert.equal(clock.pending, 0);
  });

  it("notes a bounded number of slots", async () => {
    const { open, registry } = setUp();
    const watch = open();
    for (let at = 0; at < 100_002; at++) watch.delivered(`u${at}`, "web", 1);
    assert.match(await registry.render(), /im_ack_dropped_total 2/);
    watch.close();
  });
});
