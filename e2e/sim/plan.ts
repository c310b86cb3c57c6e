// SPDX-License-Identifier: Apache-2.0
import { type BroadcastOp, broadcastOps, isBroadcastOp } from "./broadcast-ops.ts";
import { GROUP_OPS, type GroupOp, isGroupOp } from "./group-ops.ts";
import { Random } from "./random.ts";

/** One step of the workload. Numbers pick among what there is, modulo its count. */
export type Op =
  | { kind: "send"; device: number; to: number; bytes: number }
  /** Into the conversation of everybody. */
  | { kind: "send to all"; device: number }
  | { kind: "open" | "close" | "kill" | "reconnect"; device: number }
  /** The telephone suspends the application for longer than an acknowledgement may take; the connection stays. */
  | { kind: "doze"; device: number }
  /** To somebody who is never there, and whom nobody else writes to. */
  | { kind: "send to hermit"; device: number }
  /** Whoever a send with the same numbers goes to closes every device, or all of their batteries are empty. */
  | { kind: "leave" | "die"; device: number; to: number }
  /** One of the user's newest messages, as far as the device knows them. */
  | { kind: "edit" | "recall"; device: number; to: number }
  | GroupOp
  | BroadcastOp
  /** The user of the device loses their membership of that conversation, or every token issued so far. */
  | { kind: "remove" | "revoke"; device: number };

export const FAULT_KINDS = [
  "logic killed",
  "logic killed at a call",
  "logic paused",
  "entry killed",
  "entry paused",
  "extlogic killed",
  "extlogic killed at a call",
  "entry cut from a logic",
  "entry cut from every logic",
  "logic cut from Redis",
  "logic cut from the database",
  "extlogic cut from Redis",
  "Redis away",
  "Redis flushed",
  "Redis restarted",
  "Redis loses answers",
  "database away",
  "database loses answers",
  "provider away",
  "device loses its network",
  "device vanishes",
  "device reads nothing",
  "entry purged while it lives",
  "entry drained",
  "clock stepped",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/**
 * Faults that the fast way to a push must survive by itself: intents are in Redis then, and only extlogic, providers and
 * phones are in trouble.
 */
const FAST_WAY_FAULTS: readonly FaultKind[] = [
  "extlogic killed",
  "extlogic killed at a call",
  "extlogic killed at a call",
  "extlogic cut from Redis",
  "provider away",
  "device loses its network",
  "device vanishes",
  "clock stepped",
  "clock stepped",
];
/** Entries come and go, and nothing makes everybody announce again: a route that a purge takes too much stays away. */
const ENTRY_FAULTS: readonly FaultKind[] = [
  "entry killed",
  "entry purged while it lives",
  "entry drained",
  "entry cut from every logic",
  "device loses its network",
];
/** Redis loses and forgets: what is made of hints must come back from the database and from the entries. */
const REDIS_FAULTS: readonly FaultKind[] = [
  "Redis away",
  "Redis flushed",
  "Redis restarted",
  "Redis loses answers",
  "logic cut from Redis",
  "logic killed at a call",
];
/** Every so many seeds the reconciler does not run, and only such faults happen. */
export const FAST_WAY_EVERY = 5;

/** One fault: what, on which one of its kind, for how long. */
export interface Fault {
  atMs: number;
  kind: FaultKind;
  target: number;
  durationMs: number;
  /** Finer choices within the kind. */
  detail: number;
}

/** Everything that is done to the system in one run. */
export interface Plan {
  users: number;
  logics: number;
  entries: number;
  extlogics: number;
  ops: (Op & { atMs: number })[];
  faults: Fault[];
  /** The last user never opens anything: one message is all that they are told of. */
  hasHermit: boolean;
  /** One more user is of another tenant. */
  hasForeigner: boolean;
  /** A user opens nothing before this. */
  newcomerAtMs?: number;
  /** Ops and faults come within this; then everything is healed. */
  activeMs: number;
  /** False: nothing makes up for an intent that is lost. */
  hasReconciler: boolean;
  /**
   * Entries announce a session a second, asked or not. A large entry is through once in five minutes, one of a few
   * sessions all the time: without it, what the router loses unseen stays lost.
   */
  hasReasserts: boolean;
  /** The database becomes, at one time, what it was at another one before. */
  restore?: { asOfMs: number; atMs: number };
}

const ACTIVE_MS = 60_000;
const MIN_OPS = 160;
const MAX_OPS = 240;
const NEWCOMER_CHANCE = 0.5;
const FOREIGNER_CHANCE = 0.3;
const PARTING_CHANCE = 0.03;
const MIN_FAULTS = 5;
const MAX_FAULTS = 20;
/** Every so many seeds nothing is broken, and the tighter limits hold. */
export const CALM_EVERY = 20;
/** Of so many, this one has its database restored. */
export const RESTORE_AT = 10;
/** Of so many, this one breaks entries only. */
export const ENTRIES_AT = 15;
/** Of so many, this one breaks Redis and the way there only. */
export const REDIS_AT = 5;
/** Sessions are told of a restore, reconnect and pull within this. */
export const RESTORE_FELT_MS = 5000;

/** The plan of a seed. */
export function planOf(seed: number): Plan {
  const random = new Random(seed, "plan");
  const plan: Plan = {
    users: random.int(3, 5),
    logics: random.chance(0.3) ? 3 : 2,
    entries: random.chance(0.4) ? 3 : 2,
    extlogics: random.int(1, 2),
    faults: [],
    hasHermit: false,
    ...broadcastsOf(seed),
    activeMs: ACTIVE_MS,
    hasReconciler: seed % FAST_WAY_EVERY !== 1,
    hasReasserts: seed % 2 === 1 && ![ENTRIES_AT, REDIS_AT].includes(seed % CALM_EVERY),
  };
  const count = plan.ops.length + random.int(MIN_OPS, MAX_OPS);
  while (plan.ops.length < count) {
    const atMs = 1000 + random.next() * (ACTIVE_MS - 1000);
    if (random.chance(PARTING_CHANCE)) {
      plan.ops.push(...parting(random, atMs));
      continue;
    }
    // Bursts, so that batches and windows fill.
    const size = random.chance(0.04) ? random.int(5, 15) : 1;
    const op = opOf(random);
    for (let i = 0; i < size; i++) plan.ops.push({ ...op, atMs: atMs + i * random.next() * 3 });
    // The device comes back with the token it has.
    if (op.kind === "revoke" && seed % CALM_EVERY !== 0)
      plan.ops.push({ kind: "reconnect", device: op.device, atMs: atMs + random.int(10, 400) });
  }
  plan.ops.sort((a, b) => a.atMs - b.atMs);
  if (seed % CALM_EVERY === 0) return plan;
  if (seed % CALM_EVERY === RESTORE_AT) return withRestore(plan, random);
  const faults = random.int(MIN_FAULTS, MAX_FAULTS);
  for (let i = 0; i < faults; i++) plan.faults.push(faultOf(random, kindsOf(seed)));
  if (!plan.hasReconciler) addErrand(plan, random);
  plan.faults.sort((a, b) => a.atMs - b.atMs);
  return plan;
}

/**
 * The push of one message is cut at one of its calls, and then the clocks of those who could take it over step back.
 * Nothing else comes for its recipient that would cover it.
 */
function addErrand(plan: Plan, random: Random): void {
  plan.hasHermit = true;
  plan.users++;
  const atMs = random.int(20_000, 40_000);
  plan.ops.push({ kind: "send to hermit", device: random.int(0, 1000), atMs });
  const cut = {
    atMs: atMs + 2,
    kind: "extlogic killed at a call",
    durationMs: 1000,
    detail: random.int(0, 15),
  } as const;
  const step = { atMs: atMs + random.int(5000, 9000), kind: "clock stepped", durationMs: 1000, detail: 0 } as const;
  for (let target = 0; target < plan.extlogics; target++) plan.faults.push({ ...cut, target }, { ...step, target });
}

function kindsOf(seed: number): readonly FaultKind[] {
  if (seed % CALM_EVERY === ENTRIES_AT) return ENTRY_FAULTS;
  if (seed % CALM_EVERY === REDIS_AT) return REDIS_FAULTS;
  return seed % FAST_WAY_EVERY === 1 ? FAST_WAY_FAULTS : FAULT_KINDS;
}

/** Broadcasts, and who is there for them; of a chance of its own, so that the rest of the plan stays what it is. */
function broadcastsOf(seed: number): Pick<Plan, "ops" | "hasForeigner" | "newcomerAtMs"> {
  const random = new Random(seed, "broadcasts");
  const hasForeigner = random.chance(FOREIGNER_CHANCE);
  const newcomer = random.chance(NEWCOMER_CHANCE) ? { newcomerAtMs: random.int(10_000, 40_000) } : {};
  return { ops: broadcastOps(random, ACTIVE_MS), hasForeigner, ...newcomer };
}

/** Somebody is written to, leaves, and is written to again while others may still believe that they are there. */
function parting(random: Random, atMs: number): Plan["ops"] {
  const who = { device: random.int(0, 1000), to: random.int(0, 1000) };
  const leftAtMs = atMs + random.int(20, 400);
  return [
    { ...who, kind: "send", bytes: 0, atMs },
    { ...who, kind: "leave", atMs: leftAtMs },
    { ...who, kind: "send", bytes: 0, atMs: leftAtMs + random.int(1, 600) },
  ];
}

const FORGOTTEN: readonly Op["kind"][] = ["remove", "revoke", "edit", "recall"];
/** Of all users. */
const MOST_DEVICES = 20;

/**
 * Nothing else is broken, and everybody goes on: as the operator's manual says, the database has its new epoch when it is
 * back. A membership, a change or a revocation that it forgets would have to be made again.
 */
function withRestore(plan: Plan, random: Random): Plan {
  const asOfMs = random.int(15_000, ACTIVE_MS - 15_000);
  const atMs = asOfMs + random.int(2000, 5000);
  const ops = plan.ops.filter((op) => !isGroupOp(op) && !isBroadcastOp(op) && !FORGOTTEN.includes(op.kind));
  // Somebody sees what will be lost, is away while it is, and comes back when their positions mean other messages.
  const who = { device: random.int(0, 1000), to: random.int(0, 1000) };
  for (const ms of [asOfMs + 200, asOfMs + 400, atMs + 1100, atMs + 1300, atMs + 1500, atMs + 1700])
    ops.push({ ...who, kind: "send", bytes: 0, atMs: ms });
  ops.push({ ...who, kind: "leave", atMs: atMs - 600 });
  for (let device = 0; device < MOST_DEVICES; device++)
    ops.push({ kind: "open", device, atMs: atMs + RESTORE_FELT_MS + 500 });
  return { ...plan, ops, restore: { asOfMs, atMs } };
}

const WEIGHTS = {
  ...{ send: 66, "send to all": 4, open: 16, close: 8, kill: 6, doze: 1.5, remove: 0.2, revoke: 0.4 },
  ...{ edit: 4, recall: 2, "in a group": 14 },
};

function opOf(random: Random): Op {
  const device = random.int(0, 1000);
  const kind = random.weighted(WEIGHTS);
  if (kind === "edit" || kind === "recall" || kind === "in a group") {
    const to = random.int(0, 1000);
    return kind === "in a group" ? { kind: random.weighted(GROUP_OPS), device, to } : { kind, device, to };
  }
  if (kind !== "send") return { kind, device };
  return { kind, device, to: random.int(0, 1000), bytes: random.chance(0.02) ? random.int(5_000, 60_000) : 0 };
}

function faultOf(random: Random, kinds: readonly FaultKind[]): Fault {
  const kind = random.pick(kinds);
  const isLong = random.chance(0.25);
  return {
    kind,
    atMs: 2000 + random.next() * (ACTIVE_MS - 4000),
    target: random.int(0, 1000),
    durationMs: isLong ? random.int(6_000, 18_000) : random.int(200, 6_000),
    detail: random.int(0, 1_000_000),
  };
}
