// SPDX-License-Identifier: Apache-2.0
// Histories of broadcasts with one thing wrong.
import type { BroadcastEvent, HistoryEvent } from "./history.ts";
import type { Planted } from "./planted.ts";
import { type Sample, sampleHistory } from "./sample-history.ts";

type Fields = Partial<BroadcastEvent> & Pick<BroadcastEvent, "kind">;

const DEVICES = [0, 1].flatMap((user) => [0, 1].map((device) => ({ uid: `user${user}`, device: `device${device}` })));
const [PHONE, LAPTOP] = DEVICES as [(typeof DEVICES)[number], (typeof DEVICES)[number]];
/** Who comes when the first one is in force already. */
const LATE = { uid: "late", device: "device0" };
/** Keeps no place. */
const FORGETFUL = { uid: "forgetful", device: "device0" };
const ALL = ["user0", "user1", LATE.uid, FORGETFUL.uid];

function broadcast(id: string, atMs: number, fields: Fields): HistoryEvent {
  return { seed: "sample", process: "planted", op: "broadcast", id, atMs, ...fields };
}

const shown = (id: string, seq: number, atMs: number, who: Partial<BroadcastEvent>): HistoryEvent =>
  broadcast(id, atMs, { kind: "ok", seq, ...who });

function login(who: { uid: string; device: string }, atMs: number): HistoryEvent[] {
  const base = { seed: "sample", process: "planted", op: "session" as const, slot: who.device, ...who };
  return [
    { ...base, kind: "invoke", sid: "", atMs },
    { ...base, kind: "open", sid: `${who.uid}/${who.device}`, atMs: atMs + 1 },
  ];
}

/**
 * Correct: `all` comes into force, then somebody new logs in, then an urgent one and a planned one in another order than they were asked
 * for; one for some, to whom somebody is added late; one that is retracted. A device without memory is shown one again after its restart.
 */
export function broadcasts(): Sample {
  const { final } = sampleHistory(2, []);
  const old = [...DEVICES, FORGETFUL];
  const everybody = [...old, LATE];
  const events = [
    ...old.flatMap((who) => login(who, 0)),
    ...DEVICES.map((who) => broadcast("", 5, { kind: "place", seq: 0, ...who })),
    broadcast("planned", 8, { kind: "invoke", targets: ALL, fromMs: 100 }),
    broadcast("all", 10, { kind: "invoke", targets: ALL }),
    broadcast("all", 11, { kind: "force", seq: 1 }),
    ...old.map((who) => shown("all", 1, 12, who === FORGETFUL ? { ...who, life: 1 } : who)),
    shown("all", 1, 13, { ...FORGETFUL, life: 2 }),
    ...login(LATE, 20),
    broadcast("", 22, { kind: "place", seq: 1, ...LATE }),
    broadcast("some", 30, { kind: "invoke", targets: ["user0"], others: ["user1"], afterSeq: 1 }),
    broadcast("some", 31, { kind: "force", seq: 2 }),
    broadcast("urgent", 40, { kind: "invoke", targets: ALL, afterSeq: 2 }),
    broadcast("urgent", 41, { kind: "force", seq: 3 }),
    ...everybody.map((who) => shown("urgent", 3, 42, { ...who, isUrgent: true, ...lifeOf(who) })),
    ...[PHONE, LAPTOP].map((who) => shown("some", 2, 43, who)),
    broadcast("some", 50, { kind: "invoke", targets: [LATE.uid], afterSeq: 3, isConfirmed: true }),
    broadcast("some", 51, { kind: "force", seq: 4 }),
    shown("some", 4, 52, LATE),
    broadcast("gone", 60, { kind: "invoke", targets: ALL, afterSeq: 4, untilMs: 90 }),
    broadcast("gone", 61, { kind: "force", seq: 5 }),
    shown("gone", 5, 62, PHONE),
    broadcast("gone", 63, { kind: "over" }),
    broadcast("planned", 101, { kind: "force", seq: 6 }),
    ...everybody.map((who) => shown("planned", 6, 102, { ...who, ...lifeOf(who) })),
  ];
  const devices = everybody.map(({ uid, device }) => ({ uid, device }));
  return { events, final: { ...final, devices } };
}

function lifeOf(who: object): { life?: number } {
  return who === FORGETFUL ? { life: 2 } : {};
}

const isShown = (id: string, uid: string, device = "") => {
  return (event: HistoryEvent): boolean =>
    event.op === "broadcast" &&
    event.kind === "ok" &&
    event.id === id &&
    event.uid === uid &&
    (device === "" || event.device === device);
};

function without(sample: Sample, isGone: (event: HistoryEvent) => boolean): void {
  const left = sample.events.filter((event) => !isGone(event));
  if (left.length === sample.events.length) throw new Error("the anomaly does not fit its history");
  sample.events.splice(0, sample.events.length, ...left);
}

/** In {@link broadcasts}. */
export const BROADCASTS_PLANTED: readonly Planted[] = [
  {
    check: "C9",
    kind: "missed",
    name: "one of two devices never shows it",
    plant: (s) => without(s, isShown("all", LAPTOP.uid, LAPTOP.device)),
  },
  {
    check: "C9",
    kind: "missed",
    name: "who was added late never sees it",
    plant: (s) => without(s, isShown("some", LATE.uid)),
  },
  {
    check: "C9",
    kind: "not in force",
    name: "who is added late joins those whose number is over",
    plant: (s) => {
      without(s, (event) => event.op === "broadcast" && event.kind === "force" && event.seq === 4);
      s.events.push({ seed: "sample", process: "planted", op: "connection", kind: "info", what: "later", atMs: 9000 });
    },
  },
  {
    check: "C9",
    kind: "missed",
    name: "a planned one is passed over",
    plant: (s) => without(s, isShown("planned", "user1", "device1")),
  },
  {
    check: "C9",
    kind: "missed by all",
    name: "lost with the page, by a device that keeps no place",
    plant: (s) => without(s, isShown("all", FORGETFUL.uid)),
  },
  {
    check: "C9",
    kind: "twice",
    name: "shown ahead, and once more in its turn",
    plant: (s) => void s.events.push(shown("urgent", 3, 200, { ...PHONE, isUrgent: true })),
  },
  {
    check: "C9",
    kind: "twice",
    name: "twice in one life of a device that keeps no place",
    plant: (s) => void s.events.push(shown("planned", 6, 200, { ...FORGETFUL, life: 2 })),
  },
  {
    check: "C9",
    kind: "stranger",
    name: "shown to who is no target",
    plant: (s) => void s.events.push(shown("some", 4, 200, { ...FORGETFUL, life: 2 })),
  },
  {
    check: "C9",
    kind: "stranger",
    name: "shown to who was added only later",
    plant: (s) => void s.events.push(shown("some", 2, 45, { ...LATE, device: "device1" })),
  },
  {
    check: "C9",
    kind: "stranger",
    name: "nobody asked for it",
    plant: (s) => void s.events.push(shown("ghost", 7, 200, PHONE)),
  },
  {
    check: "C9",
    kind: "early",
    name: "shown before its time",
    plant: (s) => void s.events.push(shown("planned", 6, 99, { ...LATE, device: "device1" })),
  },
  {
    check: "C9",
    kind: "over",
    name: "shown long after it was retracted",
    plant: (s) => void s.events.push(shown("gone", 5, 40_000, LAPTOP)),
  },
  {
    check: "C9",
    kind: "history",
    name: "a new user is shown what was before its time",
    plant: (s) => void s.events.push(shown("all", 1, 25, LATE)),
  },
  {
    check: "C9",
    kind: "order",
    name: "shown behind a later one",
    plant: (s) => {
      without(s, isShown("some", PHONE.uid, PHONE.device));
      s.events.push(shown("some", 2, 200, PHONE));
    },
  },
];
