// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkHistory } from "./check-history.ts";
import type { FaultClass, HistoryEvent } from "./history.ts";

const BASE = { seed: "s", process: "p" };

function send(cmid: string, atMs: number): HistoryEvent[] {
  const common = { ...BASE, op: "send" as const, uid: "alice", device: "a", cmid, to: "bob", bodyHash: cmid };
  const seq = Number(cmid.slice(1));
  return [
    { ...common, kind: "invoke", atMs: atMs - 1 },
    { ...common, kind: "ok", atMs, conv: "c", seq, messageId: `m${seq}` },
  ];
}

const push = (seq: number, atMs: number): HistoryEvent => ({
  ...BASE,
  op: "push",
  kind: "ok",
  uid: "bob",
  inboxSeq: seq,
  messageId: `m${seq}`,
  atMs,
});
const shown = (seq: number, atMs: number): HistoryEvent => ({
  ...BASE,
  op: "receive",
  kind: "ok",
  uid: "bob",
  device: "b",
  conv: "c",
  seq,
  inboxSeq: seq,
  messageId: `m${seq}`,
  sender: "alice",
  cmid: `m${seq}`,
  bodyHash: `m${seq}`,
  atMs,
});
const fault = (faultClass: FaultClass, atMs: number, untilMs: number): HistoryEvent => ({
  ...BASE,
  op: "fault",
  kind: "info",
  what: "x",
  faultClass,
  atMs,
  untilMs,
});
const end = (atMs: number): HistoryEvent => ({ ...BASE, op: "connection", kind: "info", what: "end", atMs });

function kinds(events: HistoryEvent[]): string[] {
  const { violations } = checkHistory(events, { devices: [] }, { expectsNotice: true });
  return violations.filter(({ check }) => check === "C7").map(({ kind }) => kind);
}

function isStrictlyLate(events: HistoryEvent[]): boolean {
  const options = { expectsNotice: true, isNotifyStrict: true };
  return checkHistory(events, { devices: [] }, options).counts.violations.C7 > 0;
}

describe("notify, strictly", () => {
  it("counts from the begin of a fault, or from the acknowledgement when that came later", () => {
    const outage = fault("component", 5000, 15_000);
    assert.equal(isStrictlyLate([...send("m1", 1000), outage, push(1, 20_000), end(90_000)]), false);
    assert.equal(isStrictlyLate([...send("m1", 1000), outage, push(1, 20_001), end(90_000)]), true);
    assert.equal(isStrictlyLate([...send("m1", 9000), outage, push(1, 24_000), end(90_000)]), false);
    assert.equal(isStrictlyLate([...send("m1", 9000), outage, push(1, 24_001), end(90_000)]), true);
  });

  it("excuses nothing 10 s after the end of a fault", () => {
    const outage = fault("component", 5000, 8000);
    assert.equal(isStrictlyLate([...send("m1", 18_000), outage, push(1, 33_000), end(90_000)]), false);
    assert.equal(isStrictlyLate([...send("m1", 18_001), outage, push(1, 24_002), end(90_000)]), true);
  });
});

describe("notify", () => {
  it("accepts a push or a receipt up to the limit, and nothing later", () => {
    assert.deepEqual(kinds([...send("m1", 1000), push(1, 7000), end(90_000)]), []);
    assert.deepEqual(kinds([...send("m1", 1000), push(1, 7001), end(90_000)]), ["late"]);
    assert.deepEqual(kinds([...send("m1", 1000), shown(1, 7000), end(90_000)]), []);
    assert.deepEqual(kinds([...send("m1", 1000), shown(1, 7001), end(90_000)]), ["late"]);
  });

  it("takes a push or an acknowledgement of a later position for all before it", () => {
    const events = [...send("m1", 1000), ...send("m2", 2000), shown(1, 60_000), shown(2, 60_000), end(90_000)];
    assert.deepEqual(kinds([...events, push(2, 5000)]), []);
    const ack = { ...BASE, op: "ack" as const, kind: "ok" as const, uid: "bob", device: "b", inboxSeq: 2, atMs: 6000 };
    assert.deepEqual(kinds([...events, ack]), []);
    assert.deepEqual(kinds([...events, push(1, 5000)]), ["late"]);
  });

  it("counts from the end of a fault, with the limit of its class", () => {
    const late = (faultClass: FaultClass, afterMs: number): string[] =>
      kinds([...send("m1", 1000), fault(faultClass, 500, 21_000), push(1, 21_000 + afterMs), end(90_000)]);
    assert.deepEqual(late("component", 15_000), []);
    assert.deepEqual(late("component", 15_001), ["late"]);
    assert.deepEqual(late("redis-loss", 30_000), []);
    assert.deepEqual(late("redis-loss", 30_001), ["late"]);
    assert.deepEqual(late("none", 1), ["late"]);
  });

  it("holds messages to somebody away to a limit of their own", () => {
    const session = (kind: "invoke" | "open" | "close", atMs: number): HistoryEvent => {
      const who = { uid: "bob", device: "b", slot: "mobile", sid: kind === "invoke" ? "" : "s1" };
      return { ...BASE, op: "session", kind, ...who, atMs };
    };
    const late = (pushMs: number, ...others: HistoryEvent[]): boolean => {
      const events = [...others, ...send("m1", 1000), push(1, pushMs), end(90_000)];
      const options = { expectsNotice: true, awayLimitMs: 3000 };
      return checkHistory(events, { devices: [] }, options).counts.violations.C7 > 0;
    };
    assert.equal(late(4000), false, "in time");
    assert.equal(late(4001), true, "never there");
    const parted = [session("invoke", 10), session("open", 20), session("close", 898)];
    assert.equal(late(4001, ...parted), true, "gone for 101 ms");
    assert.equal(late(4001, ...parted.slice(0, 2), session("close", 900)), false, "perhaps not gone yet");
    assert.equal(late(4001, ...parted, session("invoke", 990)), false, "about to come");
    assert.equal(late(4001, ...parted, fault("component", 500, 600)), false, "a fault has its own limit");
  });

  it("wants nobody to be pushed to who has seen the message, where there is no fault", () => {
    const needless = (...events: HistoryEvent[]): number => {
      const options = { expectsNotice: true, arePushesSingle: true };
      return checkHistory([...send("m1", 1000), ...events, end(90_000)], { devices: [] }, options).counts.violations.C7;
    };
    assert.equal(needless(shown(1, 1100), push(1, 5101)), 1);
    assert.equal(needless(shown(1, 1100), push(1, 5100)), 0, "its acknowledgement was on the way");
    assert.equal(
      needless(shown(1, 1100), fault("none", 1200, 1200), push(1, 5101)),
      0,
      "it dozed before it could say so",
    );
  });

  it("does not judge what the run ended too early for", () => {
    assert.deepEqual(kinds([...send("m1", 1000), end(7000)]), []);
    assert.deepEqual(kinds([...send("m1", 1000), end(7002)]), ["never"]);
  });

  it("reports how long it took", () => {
    const events: HistoryEvent[] = [];
    for (let seq = 1; seq <= 100; seq++) events.push(...send(`m${seq}`, 1000), push(seq, 1000 + 100 - seq));
    const { notify } = checkHistory(events, { devices: [] }, { expectsNotice: true });
    assert.equal(notify?.count, 100);
    assert.equal(notify?.maxMs, 99);
    assert.equal(notify?.p50Ms, 50);
  });
});
