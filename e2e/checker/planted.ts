// SPDX-License-Identifier: Apache-2.0
// Histories with one thing wrong, two per check and more: the checker must find every one. See anomalies.ts for the count.
import { type CheckOptions, checkHistory } from "./check-history.ts";
import type { FinalState, HealedState, HistoryEvent, ReceiveEvent, RouterEvent, SendEvent } from "./history.ts";
import { type Sample, sampleHistory } from "./sample-history.ts";
import type { Check } from "./violation.ts";

/** One anomaly: the check and kind that must name it, and how a correct history is spoiled. */
export interface Planted {
  check: Check;
  kind: string;
  name: string;
  plant: (sample: Sample) => void;
}

/** The correct history into which anomalies are planted: three messages user0 -> user1, one back, all shown. */
export function conversation(): Sample {
  return sampleHistory(2, [
    { do: "send", from: 0, to: 0, outcome: "ok", resends: 0 },
    { do: "send", from: 0, to: 0, outcome: "ok", resends: 1 },
    { do: "show", device: 2, count: 1 },
    { do: "send", from: 1, to: 0, outcome: "ok", resends: 0 },
    { do: "send", from: 0, to: 0, outcome: "fail", resends: 0 },
    { do: "send", from: 0, to: 0, outcome: "info-stored", resends: 0 },
    { do: "send", from: 0, to: 0, outcome: "info-lost", resends: 0 },
  ]);
}

export const isReceive = (event: HistoryEvent): event is ReceiveEvent => event.op === "receive";
export const isSend =
  (kind: SendEvent["kind"]) =>
  (event: HistoryEvent): event is SendEvent =>
    event.op === "send" && event.kind === kind;

/** The item at `index`. @throws when there is none: the anomaly does not fit its history */
export function at<T>(items: readonly T[], index: number): T {
  const item = items.at(index);
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
}

/** What user1's first device is shown. */
export function bobs(sample: Sample): ReceiveEvent[] {
  return sample.events.filter(isReceive).filter((event) => event.uid === "user1" && event.device === "device0");
}

const BASE = { seed: "sample", process: "planted" };

/** Adds events; without a time of their own they follow the last one. */
function add(sample: Sample, ...events: (Record<string, unknown> & { op: HistoryEvent["op"] })[]): void {
  for (const event of events) {
    const atMs = (sample.events.at(-1)?.atMs ?? 0) + 1;
    sample.events.push({ ...BASE, atMs, ...event } as unknown as HistoryEvent);
  }
}

/** Time enough that every limit has passed. */
function later(sample: Sample, ms = 60_000): void {
  add(sample, { op: "connection", kind: "info", what: "later", atMs: (sample.events.at(-1)?.atMs ?? 0) + ms });
}

function openSession(sample: Sample, sid: string, over: Record<string, unknown> = {}): void {
  add(sample, { op: "session", kind: "open", uid: "user1", device: "device0", slot: "mobile", sid, ...over });
}

/** user1 is shown its last message once more by session `sid`, on a device of its own, so that nothing else is wrong. */
function receiveBy(sample: Sample, sid: string, atMs: number): void {
  for (const event of bobs(sample)) add(sample, { ...event, device: `of ${sid}`, sid, slot: "mobile", atMs });
}

function healed(over: Partial<HealedState>): HealedState {
  return { healedAtMs: 0, readAtMs: 100_000, backlog: [], routes: [], sessions: [], ...over };
}

function route(session: string): { uid: string; slot: string; session: string } {
  return { uid: "user1", slot: "mobile", session };
}

let calls = 0;

/** One operation of user1's register, from the last event on, 1 ms long. */
function routerCall(sample: Sample, action: RouterEvent["action"], conn: number, result: string, over = {}): void {
  const register = { op: "router" as const, action, uid: "user1", slot: "mobile", incarnation: "pod.1", conn };
  const call = `call${calls++}`;
  add(sample, { ...register, kind: "invoke", call, ...over }, { ...register, kind: "ok", call, result, ...over });
}

/** Options under which planted histories are checked. */
export const PLANTED_OPTIONS: CheckOptions = { expectsNotice: true };

/** Does the checker name the anomaly by its check and kind, in this correct history? */
export function isFound({ check, kind, plant }: Planted, correct: () => Sample = conversation): boolean {
  const sample = correct();
  plant(sample);
  const final: FinalState = sample.final;
  return checkHistory(sample.events, final, PLANTED_OPTIONS).violations.some(
    (violation) => violation.check === check && violation.kind === kind,
  );
}

export const PLANTED: readonly Planted[] = [
  {
    check: "C1",
    kind: "not shown",
    name: "the last message never reaches one of two devices",
    plant: (s) => {
      const lost = at(
        bobs(s).filter((event) => event.cmid === "cmid1"),
        0,
      );
      s.events.splice(s.events.indexOf(lost), 1);
    },
  },
  { check: "C1", kind: "not stored", name: "the row is gone", plant: (s) => void s.final.stored.shift() },
  {
    check: "C2",
    kind: "shown twice",
    name: "the same event again",
    plant: (s) => void s.events.push({ ...at(bobs(s), -1) }),
  },
  {
    check: "C2",
    kind: "two places",
    name: "a resend got a second position",
    plant: (s) => {
      const ack = at(
        s.events.filter(isSend("ok")).filter((event) => event.cmid === "cmid1"),
        0,
      );
      s.events.push({ ...ack, seq: 9, messageId: "m_other" });
    },
  },
  {
    check: "C3",
    kind: "order",
    name: "two messages shown in the wrong order",
    plant: (s) => {
      const [a, b] = [at(bobs(s), 0), at(bobs(s), 1)];
      const [i, j] = [s.events.indexOf(a), s.events.indexOf(b)];
      s.events[i] = { ...b, atMs: a.atMs };
      s.events[j] = { ...a, atMs: b.atMs };
    },
  },
  {
    check: "C3",
    kind: "gap",
    name: "a hole below a later message",
    plant: (s) => void s.events.splice(s.events.indexOf(at(bobs(s), 1)), 1),
  },
  {
    check: "C4",
    kind: "body",
    name: "two devices see another body at one position",
    plant: (s) => {
      at(bobs(s), 0).bodyHash = "other";
    },
  },
  {
    check: "C4",
    kind: "message",
    name: "the store has another message at a position than the devices",
    plant: (s) => {
      const [a, b] = [at(s.final.stored, 0), at(s.final.stored, 1)];
      [a.seq, b.seq] = [b.seq, a.seq];
    },
  },
  {
    check: "C5",
    kind: "never sent",
    name: "a message out of nothing",
    plant: (s) => void s.events.push({ ...at(bobs(s), -1), cmid: "ghost", messageId: "m_ghost", seq: 5, inboxSeq: 5 }),
  },
  {
    check: "C5",
    kind: "failed",
    name: "a send that failed is stored after all",
    plant: (s) => {
      const { cmid, bodyHash } = at(s.events.filter(isSend("fail")), 0);
      s.final.stored.push({ ...at(s.final.stored, 0), seq: 5, messageId: "m_5", cmid, bodyHash });
    },
  },
  {
    check: "C6",
    kind: "inverted",
    name: "acknowledged first, placed last",
    plant: (s) => {
      const invoke = at(
        s.events.filter(isSend("invoke")).filter((event) => event.cmid === "cmid0"),
        0,
      );
      invoke.atMs = 1_000_000;
      for (const ack of s.events.filter(isSend("ok"))) if (ack.cmid === "cmid0") ack.atMs = 1_000_001;
    },
  },
  {
    check: "C6",
    kind: "inverted",
    name: "an unacknowledged send that began later lies before an acknowledged one",
    plant: (s) => {
      const [a, b] = [at(s.final.stored, 0), at(s.final.stored, 3)];
      const positions = new Map([
        [a.cmid, b.seq],
        [b.cmid, a.seq],
      ]);
      for (const item of [...s.events, ...s.final.stored])
        if ("cmid" in item && "seq" in item) item.seq = positions.get(item.cmid) ?? item.seq;
    },
  },
  {
    check: "C7",
    kind: "never",
    name: "a message for somebody away, and no push",
    plant: (s) => {
      const sent = { op: "send" as const, uid: "user0", device: "device0", cmid: "unseen", to: "away", bodyHash: "x" };
      add(s, { ...sent, kind: "invoke" }, { ...sent, kind: "ok", conv: "c_away", seq: 1, messageId: "m_away" });
      s.final.stored.push({
        conv: "c_away",
        seq: 1,
        messageId: "m_away",
        sender: "user0",
        cmid: "unseen",
        bodyHash: "x",
      });
      later(s);
    },
  },
  {
    check: "C7",
    kind: "late",
    name: "a push 7 s after the message, and no fault to excuse it",
    plant: (s) => {
      const sent = { op: "send" as const, uid: "user0", device: "device0", cmid: "slow", to: "away", bodyHash: "x" };
      add(s, { ...sent, kind: "invoke" }, { ...sent, kind: "ok", conv: "c_away", seq: 1, messageId: "m_away" });
      s.final.stored.push({
        conv: "c_away",
        seq: 1,
        messageId: "m_away",
        sender: "user0",
        cmid: "slow",
        bodyHash: "x",
      });
      later(s, 7000);
      add(s, { op: "push", kind: "ok", uid: "away", inboxSeq: 1, messageId: "m_away" });
    },
  },
  {
    check: "C8",
    kind: "both receive",
    name: "the replaced session goes on receiving",
    plant: (s) => {
      openSession(s, "pod.1/1", { atMs: 1000 });
      openSession(s, "pod.2/1", { atMs: 2000, device: "device1" });
      receiveBy(s, "pod.1/1", 5000);
      receiveBy(s, "pod.2/1", 6000);
    },
  },
  {
    check: "C8",
    kind: "both open",
    name: "two sessions of one slot are open at the end",
    plant: (s) => {
      openSession(s, "pod.1/1");
      openSession(s, "pod.2/1", { device: "device1" });
      later(s);
    },
  },
  {
    check: "C10",
    kind: "delivered",
    name: "a removed member is shown what was sent later",
    plant: (s) => {
      const { conv } = at(bobs(s), 0);
      add(s, { op: "membership", kind: "remove", uid: "user1", conv, atMs: -10_000 });
    },
  },
  {
    check: "C10",
    kind: "accepted",
    name: "what a removed member sends is stored",
    plant: (s) => {
      const { conv } = at(bobs(s), 0);
      add(s, { op: "membership", kind: "remove", uid: "user0", conv, atMs: -10_000 });
    },
  },
  {
    check: "C11",
    kind: "opened",
    name: "a login with a token that was revoked",
    plant: (s) => {
      add(s, { op: "revoke", kind: "ok", uid: "user1", atMs: 1000 });
      openSession(s, "pod.1/1", { atMs: 7000, tokenIssuedAtMs: 500 });
    },
  },
  {
    check: "C11",
    kind: "receives",
    name: "a session that outlives its revoked token",
    plant: (s) => {
      openSession(s, "pod.1/1", { atMs: 600, tokenIssuedAtMs: 500 });
      add(s, { op: "revoke", kind: "ok", uid: "user1", atMs: 1000 });
      receiveBy(s, "pod.1/1", 7000);
    },
  },
  {
    check: "C12",
    kind: "not linearizable",
    name: "a logout deletes the route of a newer session",
    plant: (s) => {
      routerCall(s, "login", 1, "ok", { loginSeq: 1 });
      routerCall(s, "login", 2, "ok", { loginSeq: 2 });
      routerCall(s, "logout", 1, "deleted");
    },
  },
  {
    check: "C12",
    kind: "not linearizable",
    name: "an older login takes the slot back",
    plant: (s) => {
      routerCall(s, "login", 2, "ok", { loginSeq: 2 });
      routerCall(s, "login", 1, "ok", { loginSeq: 1 });
    },
  },
  {
    check: "C13",
    kind: "ghost route",
    name: "a route whose session is gone",
    plant: (s) => {
      s.final.healed = healed({ routes: [route("pod.1/1")] });
    },
  },
  {
    check: "C13",
    kind: "backlog",
    name: "a stream that grows after the heal",
    plant: (s) => {
      s.final.healed = healed({ backlog: [{ name: "intents", earlyLength: 3, lateLength: 5 }] });
    },
  },
];
