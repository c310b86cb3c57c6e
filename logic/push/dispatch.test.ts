// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { KIT_POLICY, MINUTE_MS, PushKit } from "./push-kit.ts";

const APNS = { provider: "apns", token: "t-apns" };
const FCM = { provider: "fcm", token: "t-fcm" };

const kits: PushKit[] = [];
function kit(...args: ConstructorParameters<typeof PushKit>): PushKit {
  const made = new PushKit(...args);
  kits.push(made);
  return made;
}
afterEach(async () => {
  for (const one of kits.splice(0)) {
    assert.deepEqual(one.faults, []);
    const stopped = one.schedule.stop();
    await one.settle();
    await stopped;
    assert.equal(one.schedule.inHand, 0);
  }
});

const accepted = { kind: "finished", result: "accepted" };
const scheduled = { kind: "finished", result: "scheduled" };

describe("dispatch of push intents", () => {
  it("reaches every device with a token, and keeps the next step for later", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    await world.device("bob", "pad", FCM);
    await world.device("bob", "browser", undefined, "web");
    await world.contact("bob");
    const seq = await world.message("bob");
    assert.deepEqual(await world.dispatch(["bob", seq]), [accepted]);
    assert.deepEqual(world.pushed, ["apns:t-apns", "fcm:t-fcm"]);
    assert.deepEqual(world.waiting(), ["wechat@60"]);
    const [request] = world.provider("apns").requests;
    assert.equal(request?.notification.inboxSeq, seq);
    assert.match(request?.collapseKey ?? "", /^[\w-]{32}$/);
  });

  it("collapses by conversation and device", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    await world.device("bob", "pad", FCM);
    await world.dispatch(["bob", await world.message("bob", "c_1")], ["bob", await world.message("bob", "c_1")]);
    await world.dispatch(["bob", await world.message("bob", "c_2")]);
    const [first, second, other] = world.provider("apns").requests.map(({ collapseKey }) => collapseKey);
    assert.equal(first, second);
    assert.notEqual(first, other);
    assert.notEqual(first, world.provider("fcm").requests[0]?.collapseKey);
  });

  it("cancels what was read, before and between the steps", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.store.pushStore.saveContacts([{ userId: "bob", phone: "+861", wechat: "o1", timeZone: "" }]);
    const read = await world.message("bob");
    await world.store.advanceAcks([{ userId: "bob", deviceId: "phone", inboxSeq: read }]);
    assert.deepEqual(await world.dispatch(["bob", read]), [{ kind: "finished", result: "acked" }]);
    assert.deepEqual(world.pushed, []);
    const unread = await world.message("bob");
    await world.dispatch(["bob", unread]);
    await world.pass(MINUTE_MS + 1000);
    assert.deepEqual(world.pushed, ["apns:t-apns", "wechat:o1"]);
    await world.store.advanceAcks([{ userId: "bob", deviceId: "phone", inboxSeq: unread }]);
    await world.pass(10 * MINUTE_MS);
    assert.deepEqual(world.pushed, ["apns:t-apns", "wechat:o1"], "no SMS for what was read");
    assert.deepEqual(world.waiting(), []);
  });

  it("escalates to the end while it stays unread", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.store.pushStore.saveContacts([{ userId: "bob", phone: "+861", wechat: "o1", timeZone: "" }]);
    await world.dispatch(["bob", await world.message("bob")]);
    await world.pass(30 * MINUTE_MS);
    assert.deepEqual(world.pushed, ["apns:t-apns", "wechat:o1", "sms:+861"]);
    assert.deepEqual(world.waiting(), []);
    assert.deepEqual(world.letters, []);
  });

  it("escalates once for several messages of a conversation", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.store.pushStore.saveContacts([{ userId: "bob", phone: "+861", wechat: "", timeZone: "" }]);
    for (let n = 0; n < 5; n++) await world.dispatch(["bob", await world.message("bob")]);
    await world.pass(30 * MINUTE_MS);
    assert.equal(world.provider("apns").requests.length, 5);
    assert.equal(world.provider("sms").requests.length, 1);
  });

  it("starts the wait again when part of it was read", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.store.pushStore.saveContacts([{ userId: "bob", phone: "", wechat: "o1", timeZone: "" }]);
    const first = await world.message("bob");
    await world.dispatch(["bob", first]);
    await world.pass(50_000);
    await world.dispatch(["bob", await world.message("bob")]);
    await world.store.advanceAcks([{ userId: "bob", deviceId: "phone", inboxSeq: first }]);
    await world.pass(30_000);
    assert.deepEqual(world.provider("wechat").requests, []);
    await world.pass(MINUTE_MS);
    assert.equal(world.provider("wechat").requests.length, 1);
  });

  it("goes on at once where a channel cannot reach the user", async () => {
    const world = kit();
    await world.device("bob", "phone");
    await world.store.pushStore.saveContacts([{ userId: "bob", phone: "+861", wechat: "o1", timeZone: "" }]);
    await world.dispatch(["bob", await world.message("bob")]);
    assert.deepEqual(world.pushed, ["wechat:o1"]);
    assert.deepEqual(world.waiting(), ["sms@300"]);
  });

  it("ends at the webhook, message by message, when nothing else reaches the user", async () => {
    const world = kit({ steps: [{ channel: "webhook", delayMs: undefined, unreachedDelayMs: 0 }] });
    await world.device("bob", "phone", APNS);
    world.provider("webhook").answer = () => ({ kind: "failed", reason: "503" });
    const seqs = [await world.message("bob"), await world.message("bob")];
    assert.deepEqual(await world.dispatch(...seqs.map((seq): [string, number] => ["bob", seq])), [
      scheduled,
      scheduled,
    ]);
    assert.equal(world.waiting().length, 2);
    world.provider("webhook").answer = () => ({ kind: "accepted" });
    world.schedule.start();
    await world.pass(3000);
    const told = world.provider("webhook").requests.map(({ notification }) => notification.inboxSeq);
    assert.deepEqual(told, [...seqs, ...seqs]);
    assert.deepEqual(world.waiting(), []);
  });

  it("does not tell the webhook of those whom an earlier step reached, whatever became of the later ones", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.contact("bob");
    for (const name of ["wechat", "sms"]) world.provider(name).answer = () => ({ kind: "rejected", reason: "no" });
    await world.dispatch(["bob", await world.message("bob")]);
    await world.pass(10 * MINUTE_MS);
    assert.deepEqual(world.pushed, ["apns:t-apns", "wechat:o1", "sms:+861"]);
    assert.deepEqual([world.waiting(), world.letters], [[], []]);
  });

  it("tells the webhook each message also where it comes last", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    world.provider("apns").answer = () => ({ kind: "rejected", reason: "no" });
    world.provider("webhook").answer = (_, attempt) =>
      attempt <= 2 ? { kind: "failed", reason: "503" } : { kind: "accepted" };
    const seqs = [await world.message("bob"), await world.message("bob")];
    for (const seq of seqs) await world.dispatch(["bob", seq]);
    await world.pass(5000);
    const told = world.provider("webhook").requests.map(({ notification }) => notification.inboxSeq);
    assert.deepEqual(told.slice(2).sort(), seqs);
  });

  it("reports intents whose message is gone, and users without any address", async () => {
    const world = kit();
    await world.device("bob", "phone");
    const seq = await world.message("bob");
    world.provider("webhook").answer = () => ({ kind: "accepted" });
    assert.deepEqual(await world.dispatch(["bob", seq + 9]), [{ kind: "finished", result: "gone" }]);
    const nobody = kit({ steps: [{ channel: "wechat", delayMs: 0, unreachedDelayMs: 0 }] });
    await nobody.device("bob", "phone");
    assert.deepEqual(await nobody.dispatch(["bob", await nobody.message("bob")]), [
      { kind: "finished", result: "unreachable" },
    ]);
  });

  it("forgets a token that is dead, and not one that was registered meanwhile", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    await world.device("bob", "pad", FCM);
    world.provider("apns").answer = () => ({ kind: "gone", reason: "Unregistered" });
    world.provider("fcm").answer = () => {
      world.store.tokens.set("bob/pad", { pushProvider: "fcm", pushToken: "newer" });
      return { kind: "gone", reason: "UNREGISTERED" };
    };
    await world.dispatch(["bob", await world.message("bob")]);
    assert.equal(world.store.tokens.get("bob/phone")?.pushToken, "");
    assert.equal(world.store.tokens.get("bob/pad")?.pushToken, "newer");
    assert.match(await world.metrics.render(), /im_push_invalid_tokens_total\{provider="apns"\} 1/);
    await world.dispatch(["bob", await world.message("bob")]);
    assert.equal(world.provider("apns").requests.length, 1, "it is not called again");
  });

  it("gives up what is refused for good, when no step is left", async () => {
    const world = kit({ steps: [{ channel: "app", delayMs: 0, unreachedDelayMs: 0 }] });
    await world.device("bob", "phone", APNS);
    world.provider("apns").answer = () => ({ kind: "rejected", reason: "BadMessageId" });
    const [outcome] = await world.dispatch(["bob", await world.message("bob")]);
    assert.deepEqual(outcome, { kind: "rejected", reason: "BadMessageId" });
  });

  it("leaves what it cannot decide in the stream when the store is away", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    const seq = await world.message("bob");
    world.store.pushTargets = () => Promise.reject(new Error("away"));
    await assert.rejects(world.dispatch(["bob", seq]));
  });
});

describe("a conversation that its user muted", () => {
  const muted = { kind: "finished", result: "muted" };

  it("pushes nothing by any channel until it is over, and the others push as ever", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    await world.contact("bob");
    const [quiet, loud] = [await world.message("bob"), await world.message("bob", "c_2")];
    await world.mute("bob", world.clock.wallMs() + MINUTE_MS);
    assert.deepEqual(await world.dispatch(["bob", quiet], ["bob", loud]), [muted, accepted]);
    assert.deepEqual([world.provider("apns").requests.length, world.waiting()], [1, ["wechat@60"]]);
    assert.equal(world.provider("apns").requests[0]?.notification.inboxSeq, loud);
    await world.pass(MINUTE_MS);
    assert.deepEqual(await world.dispatch(["bob", await world.message("bob")]), [accepted]);
  });

  it("is muted for that user only", async () => {
    const world = kit();
    for (const userId of ["bob", "carol"]) await world.device(userId, "phone", APNS);
    const seq = await world.message("bob");
    await world.store.conversations.change([
      { userId: "alice", conversationId: "c_1:bob", mutedUntilMs: Number.MAX_SAFE_INTEGER },
    ]);
    assert.deepEqual(await world.dispatch(["bob", seq]), [accepted]);
  });

  it("ends the escalation of what was pushed before", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.contact("bob");
    await world.dispatch(["bob", await world.message("bob")]);
    await world.mute("bob", Number.MAX_SAFE_INTEGER);
    await world.pass(10 * MINUTE_MS);
    assert.deepEqual([world.pushed, world.waiting(), world.letters], [["apns:t-apns"], [], []]);
  });
});

describe("a user without an address", () => {
  it("for a channel is not kept waiting for it", async () => {
    const world = kit({
      steps: [
        { channel: "sms", delayMs: 0, unreachedDelayMs: MINUTE_MS },
        { channel: "webhook", delayMs: undefined, unreachedDelayMs: 0 },
      ],
    });
    await world.device("bob", "phone");
    assert.deepEqual(await world.dispatch(["bob", await world.message("bob")]), [accepted]);
    assert.deepEqual(world.waiting(), []);
  });

  it("for the next channel is given up when the one before refuses", async () => {
    const world = kit({ steps: KIT_POLICY.steps.slice(0, 3) });
    await world.device("bob", "phone", APNS);
    world.provider("apns").answer = () => ({ kind: "rejected", reason: "BadMessageId" });
    const [outcome] = await world.dispatch(["bob", await world.message("bob")]);
    assert.deepEqual(outcome, { kind: "rejected", reason: "BadMessageId" });
  });
});

describe("retries", () => {
  it("obey Retry-After, for the one device that failed", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.device("bob", "pad", FCM);
    await world.contact("bob");
    world.provider("fcm").answer = (_, attempt) =>
      attempt === 1 ? { kind: "failed", reason: "429", retryAfterMs: 20_000, scope: "address" } : { kind: "accepted" };
    await world.dispatch(["bob", await world.message("bob")]);
    assert.deepEqual(world.waiting(), ["app/pad@20", "wechat@60"]);
    await world.pass(19_000);
    assert.equal(world.provider("fcm").requests.length, 1);
    await world.pass(2000);
    assert.equal(world.provider("fcm").requests.length, 2);
    assert.equal(world.provider("apns").requests.length, 1, "the other device is not told again");
    assert.deepEqual(world.waiting(), ["wechat@39"]);
  });

  it("hold back the whole provider when it is the one in trouble", async () => {
    const world = kit();
    world.schedule.start();
    for (const user of ["bob", "carol", "dave"]) await world.device(user, "phone", { ...APNS, token: `t-${user}` });
    world.provider("apns").answer = (_, attempt) =>
      attempt === 1 ? { kind: "failed", reason: "503", retryAfterMs: 10_000 } : { kind: "accepted" };
    for (const user of ["bob", "carol", "dave"]) await world.dispatch([user, await world.message(user)]);
    await world.pass(8000);
    assert.equal(world.provider("apns").requests.length, 1, "nobody else calls it");
    await world.pass(15_000);
    assert.deepEqual(new Set(world.pushed), new Set(["apns:t-bob", "apns:t-carol", "apns:t-dave"]));
    assert.equal(world.provider("apns").requests.length, 4);
  });

  it("end in the dead letters, after more tries than a short outage needs", async () => {
    const world = kit({ steps: [{ channel: "app", delayMs: 0, unreachedDelayMs: 0 }] });
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    world.provider("apns").answer = () => ({ kind: "failed", reason: "500" });
    const seq = await world.message("bob");
    await world.dispatch(["bob", seq]);
    await world.pass(5 * MINUTE_MS);
    assert.deepEqual(world.letters, []);
    await world.pass(60 * MINUTE_MS);
    assert.equal(world.provider("apns").requests.length, 12);
    assert.deepEqual(world.letters, [{ userId: "bob", inboxSeq: seq, reason: "exhausted: 500" }]);
    assert.deepEqual(world.waiting(), []);
  });

  it("bring the next channel forward when they end without success", async () => {
    const world = kit();
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    await world.store.pushStore.saveContacts([{ userId: "bob", phone: "", wechat: "o1", timeZone: "" }]);
    world.provider("apns").answer = (_, attempt) =>
      attempt === 1 ? { kind: "failed", reason: "500" } : { kind: "gone", reason: "Unregistered" };
    await world.dispatch(["bob", await world.message("bob")]);
    assert.deepEqual(world.provider("wechat").requests, []);
    await world.pass(5000);
    assert.equal(world.provider("wechat").requests.length, 1);
  });
});

describe("a provider that stalls", () => {
  it("holds up neither other providers nor the intents behind it", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    await world.device("carol", "phone", FCM);
    world.provider("apns").answer = () => "stall";
    const intents: [string, number][] = [];
    for (let n = 0; n < 40; n++) {
      intents.push(["bob", await world.message("bob")], ["carol", await world.message("carol")]);
    }
    const outcomes = await world.dispatch(...intents);
    assert.equal(world.provider("fcm").requests.length, 40);
    assert.equal(world.provider("apns").requests.length, 16, "the bulkhead is full");
    assert.deepEqual(outcomes[0], scheduled);
    assert.deepEqual(outcomes[1], accepted);
  });

  it("is not called for what was read while the push waited for its place", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    await world.device("carol", "phone", { ...APNS, token: "t-carol" });
    world.provider("apns").answer = () => "stall";
    for (let n = 0; n < 16; n++) await world.dispatch(["bob", await world.message("bob")]);
    const seq = await world.message("carol");
    assert.deepEqual(await world.dispatch(["carol", seq]), [scheduled]);
    await world.store.advanceAcks([{ userId: "carol", deviceId: "phone", inboxSeq: seq }]);
    world.provider("apns").release({ kind: "accepted" });
    await world.settle();
    assert.equal(world.pushed.includes("apns:t-carol"), false);
    assert.deepEqual(world.waiting(), []);
    assert.match(await world.metrics.render(), /im_push_total\{provider="apns",result="cancelled"\} 1/);
  });

  it("loses nothing when the process dies meanwhile: another one takes the steps", async () => {
    const dead = kit();
    await dead.device("bob", "phone", APNS);
    await dead.contact("bob");
    dead.provider("apns").answer = () => "stall";
    await dead.dispatch(["bob", await dead.message("bob")]);
    assert.deepEqual(dead.waiting(), ["app@6"]);
    // The dead one's clock stands still: nothing of it happens any more.
    const heir = kit({}, { store: dead.store, clock: new FakeClock(0, dead.clock.wallMs()) });
    heir.schedule.start();
    await heir.pass(7000);
    assert.deepEqual(heir.pushed, ["apns:t-apns"]);
    assert.match(heir.waiting().join(), /^wechat@(59|60)$/);
  });

  it("is let go at an orderly stop: the steps are due at once", async () => {
    const world = kit();
    await world.device("bob", "phone", APNS);
    world.provider("apns").answer = () => "stall";
    await world.dispatch(["bob", await world.message("bob")]);
    const stopped = world.schedule.stop();
    await world.settle();
    await stopped;
    assert.deepEqual(
      world.waiting().filter((step) => step.startsWith("app")),
      ["app/phone@1"],
    );
  });
});

describe("the policy's limits", () => {
  it("hold SMS back in quiet hours, and send it after them if still unread", async () => {
    const quietHours = { startMinute: 11 * 60, endMinute: 13 * 60, channels: ["sms" as const] };
    const world = kit({ quietHours, steps: [{ channel: "sms", delayMs: 0, unreachedDelayMs: 0 }] });
    world.schedule.start();
    await world.device("bob", "phone");
    await world.device("carol", "phone");
    const contact = { wechat: "", timeZone: "" };
    await world.store.pushStore.saveContacts([
      { ...contact, userId: "bob", phone: "+861" },
      { ...contact, userId: "carol", phone: "+862", timeZone: "Asia/Shanghai" },
    ]);
    await world.dispatch(["bob", await world.message("bob")], ["carol", await world.message("carol")]);
    assert.deepEqual(world.pushed, ["sms:+862"], "it is 20:00 in Shanghai");
    assert.deepEqual(world.waiting(), ["sms@3600"]);
    await world.pass(61 * MINUTE_MS);
    assert.deepEqual(world.pushed, ["sms:+862", "sms:+861"]);
  });

  it("end a day's SMS at the cap and go on with the next channel", async () => {
    const world = kit({
      dailyCaps: { sms: 2 },
      steps: [
        { channel: "sms", delayMs: 0, unreachedDelayMs: 0 },
        { channel: "webhook", delayMs: undefined, unreachedDelayMs: 0 },
      ],
    });
    await world.device("bob", "phone");
    await world.store.pushStore.saveContacts([{ userId: "bob", phone: "+861", wechat: "", timeZone: "" }]);
    for (let n = 0; n < 4; n++) await world.dispatch(["bob", await world.message("bob")]);
    assert.deepEqual(world.pushed, ["sms:+861", "sms:+861", "webhook:", "webhook:"]);
    world.clock.advance(13 * 60 * MINUTE_MS);
    await world.dispatch(["bob", await world.message("bob")]);
    assert.equal(world.provider("sms").requests.length, 3, "a new day");
  });

  it("wake an app in the background once per interval", async () => {
    const world = kit({ appMode: "background", steps: [{ channel: "app", delayMs: 0, unreachedDelayMs: 0 }] });
    await world.device("bob", "phone", APNS);
    for (let n = 0; n < 3; n++) await world.dispatch(["bob", await world.message("bob")]);
    assert.deepEqual(
      world.provider("apns").requests.map(({ urgency }) => urgency),
      ["background"],
    );
    await world.pass(20 * MINUTE_MS);
    await world.dispatch(["bob", await world.message("bob")]);
    assert.equal(world.provider("apns").requests.length, 2);
  });

  it("give up what could not be delivered in time", async () => {
    const world = kit({ ttlMs: MINUTE_MS, steps: [{ channel: "app", delayMs: 0, unreachedDelayMs: 0 }] });
    world.schedule.start();
    await world.device("bob", "phone", APNS);
    world.provider("apns").answer = () => ({ kind: "failed", reason: "503", retryAfterMs: 120_000 });
    await world.dispatch(["bob", await world.message("bob")]);
    await world.pass(3 * MINUTE_MS);
    assert.deepEqual(
      world.letters.map(({ reason }) => reason),
      ["expired"],
    );
  });
});

describe("wall clocks that are wrong", () => {
  const HOUR_MS = 60 * MINUTE_MS;
  /** Two replicas; the first one's wall clock is off by `skewMs`, the second one's by as much in the other direction. */
  const replicas = (skewMs: number): [PushKit, PushKit] => {
    const first = kit();
    const second = kit({}, first);
    first.wallSkewMs = skewMs;
    second.wallSkewMs = -skewMs;
    return [first, second];
  };

  for (const skewMs of [-HOUR_MS, HOUR_MS]) {
    it(`neither bring a step forward nor hold it up: ${skewMs} ms`, async () => {
      const [first, second] = replicas(skewMs);
      await first.device("bob", "phone", APNS);
      await first.contact("bob");
      await first.dispatch(["bob", await first.message("bob")]);
      assert.deepEqual(first.waiting(), ["wechat@60"]);
      second.schedule.start();
      await second.pass(MINUTE_MS - 2000);
      assert.deepEqual(second.pushed, []);
      await second.pass(4000);
      assert.deepEqual(second.pushed, ["wechat:o1"]);
      assert.match(second.waiting().join(), /^sms@(29\d|300)$/);
    });

    it(`leave a dead process's step to another one when its lease is over: ${skewMs} ms`, async () => {
      const dead = kit();
      dead.wallSkewMs = skewMs;
      await dead.device("bob", "phone", APNS);
      dead.provider("apns").answer = () => "stall";
      await dead.dispatch(["bob", await dead.message("bob")]);
      assert.deepEqual(dead.waiting(), ["app@6"]);
      // Its clock stands still: nothing of it happens any more.
      const heir = kit({}, { store: dead.store, clock: new FakeClock(0, dead.clock.wallMs()) });
      heir.wallSkewMs = -skewMs;
      heir.schedule.start();
      await heir.pass(4500);
      assert.deepEqual(heir.pushed, [], "it is in hand");
      await heir.pass(3000);
      assert.deepEqual(heir.pushed, ["apns:t-apns"]);
    });

    it(`that jump while a retry waits do not move it: ${skewMs} ms`, async () => {
      const world = kit();
      world.schedule.start();
      await world.device("bob", "phone", APNS);
      const apns = world.provider("apns");
      apns.answer = (_, attempt) =>
        attempt === 1 ? { kind: "failed", reason: "away", retryAfterMs: 20_000 } : { kind: "accepted" };
      await world.dispatch(["bob", await world.message("bob")]);
      world.wallSkewMs = skewMs;
      await world.pass(18_000);
      assert.equal(apns.requests.length, 1);
      await world.pass(4000);
      assert.equal(apns.requests.length, 2);
    });

    it(`do not give up what is new, and count days and quiet hours as everybody does: ${skewMs} ms`, async () => {
      const world = kit({
        ttlMs: 10 * MINUTE_MS,
        quietHours: { startMinute: 13 * 60, endMinute: 14 * 60, channels: ["app"] },
      });
      world.schedule.start();
      await world.device("bob", "phone", APNS);
      world.wallSkewMs = skewMs;
      // It is twelve o'clock: not yet quiet.
      await world.dispatch(["bob", await world.message("bob")]);
      assert.deepEqual(world.pushed, ["apns:t-apns"]);
      assert.equal(world.provider("apns").requests[0]?.ttlMs, 10 * MINUTE_MS);
      assert.deepEqual(world.letters, []);
    });
  }
});
