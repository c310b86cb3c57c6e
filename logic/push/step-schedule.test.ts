// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { MINUTE_MS, PushKit } from "./push-kit.ts";

const APNS = { provider: "apns", token: "t-apns" };
const ACCEPTED = { kind: "accepted" } as const;

const kits: PushKit[] = [];
function kit(...args: ConstructorParameters<typeof PushKit>): PushKit {
  const made = new PushKit(...args);
  kits.push(made);
  return made;
}
afterEach(async () => {
  const all = kits.splice(0);
  for (const one of all) {
    const stopped = one.schedule.stop();
    await one.settle();
    await stopped;
  }
  for (const { clock } of all) assert.equal(clock.pending, 0);
});

/** Another process at the same store, whose time goes on alone. */
function heirOf(first: PushKit): PushKit {
  const heir = kit({}, { store: first.store, clock: new FakeClock(0, first.clock.wallMs()) });
  heir.schedule.start();
  return heir;
}

const lostSteps = /im_push_steps_total\{channel="app",result="lost"\} (\d+)/;

describe("steps in hand", () => {
  it("stay with the process that has them, however long the provider takes", async () => {
    const world = kit();
    const second = kit({}, world);
    second.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.contact("bob");
    world.provider("apns").answer = () => "stall";
    await world.dispatch(["bob", await world.message("bob")]);
    await world.pass(11_000);
    assert.deepEqual([world.pushed, second.pushed], [["apns:t-apns"], []]);
    world.provider("apns").release(ACCEPTED);
    await world.pass(20_000);
    assert.deepEqual([world.pushed, second.pushed], [["apns:t-apns"], []]);
    assert.match(world.waiting().join(), /^wechat@4[01]$/);
  });

  it("are the other process's when this one stood still, and it undoes nothing of theirs", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    await world.contact("bob");
    world.provider("apns").answer = () => "stall";
    await world.dispatch(["bob", await world.message("bob")]);
    await world.pass(3000);
    const heir = heirOf(world);
    heir.provider("apns").answer = () => "stall";
    await heir.pass(8000);
    assert.deepEqual(heir.pushed, ["apns:t-apns"]);
    // Goes on where it stopped.
    await world.pass(2000);
    assert.equal(lostSteps.exec(await world.metrics.render())?.[1], "1");
    assert.equal(world.schedule.inHand, 0, "its own call was broken off");
    assert.match(heir.waiting().join(), /^app@[3-6]$/, "no retry of it, and the lease is the other one's");
    heir.provider("apns").release(ACCEPTED);
    await heir.pass(1000);
    assert.match(heir.waiting().join(), /^wechat@/);
  });

  it("are over for everybody when the provider took the push after all", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    world.provider("apns").answer = () => "stall";
    await world.dispatch(["bob", await world.message("bob")]);
    const heir = heirOf(world);
    heir.provider("apns").answer = () => "stall";
    await heir.pass(8000);
    world.provider("apns").release(ACCEPTED);
    await world.settle();
    assert.deepEqual(
      heir.waiting().filter((step) => step.startsWith("app")),
      [],
    );
    await heir.pass(4000);
    assert.equal(lostSteps.exec(await heir.metrics.render())?.[1], "1");
    await heir.pass(MINUTE_MS / 2);
    assert.deepEqual(heir.pushed, ["apns:t-apns"], "its call was broken off, and is not repeated");
  });

  it("are not run a second time for a message that joined them in this process", async () => {
    const world = kit({ steps: [{ channel: "app", delayMs: 0, unreachedDelayMs: 0 }] });
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    const apns = world.provider("apns");
    apns.answer = () => "stall";
    for (let n = 0; n < 3; n++) await world.dispatch(["bob", await world.message("bob")]);
    assert.equal(world.waiting().length, 1, "one row");
    for (const _ of [1, 2]) {
      apns.release(ACCEPTED, 1);
      await world.pass(4000);
      assert.equal(apns.requests.length, 3, "the newest is still on its way");
      assert.match(world.waiting().join(), /^app@[2-6]$/);
    }
    apns.release(ACCEPTED);
    await world.pass(MINUTE_MS);
    assert.equal(apns.requests.length, 3);
    assert.deepEqual(world.waiting(), []);
  });

  it("are let go when they could not be written down", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    world.provider("apns").answer = () => "stall";
    const { pushStore } = world.store;
    const save = pushStore.saveSteps.bind(pushStore);
    pushStore.saveSteps = () => Promise.reject(new ImError(ErrorCode.RETRYABLE, "away"));
    await assert.rejects(world.dispatch(["bob", await world.message("bob")]), /away/);
    pushStore.saveSteps = save;
    world.provider("apns").release(ACCEPTED);
    await world.pass(10_000);
    assert.deepEqual([world.waiting(), world.clock.pending], [[], 0]);
  });

  it("come again soon when nobody could read whom they are for", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.contact("bob");
    await world.dispatch(["bob", await world.message("bob")]);
    await world.pass(MINUTE_MS - 2000);
    const read = world.store.pushTargets.bind(world.store);
    world.store.pushTargets = () => Promise.reject(new ImError(ErrorCode.RETRYABLE, "away"));
    await world.pass(4000);
    assert.match(world.waiting().join(), /^wechat@[1-6]$/, "claimed, and left to its lease");
    world.store.pushTargets = read;
    await world.pass(8000);
    assert.deepEqual(world.pushed, ["apns:t-apns", "wechat:o1"]);
  });
});
