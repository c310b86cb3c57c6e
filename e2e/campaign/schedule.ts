// SPDX-License-Identifier: Apache-2.0
import { seededRandom, shuffled } from "./seeded-random.ts";

/**
 * What the nemesis can do. `kill`: SIGKILL, started again at the end. `pause`: SIGSTOP until the end. `cut`: packets
 * between `target` and `peer` vanish, `one-way` only those that `target` sends. `lose`: a share of what `target`
 * receives vanishes. `reset`: all connections between the two break. `flush`: FLUSHALL. `half-open`: packets between
 * half-open clients and entries vanish. `failover`: the master or primary is killed and replaced.
 */
export const FAULT_KINDS = [
  "kill",
  "pause",
  "cut",
  "one-way",
  "lose",
  "reset",
  "flush",
  "half-open",
  "failover",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** One planned fault. Names are those of the fleet's hosts; `clients` are all clients. */
export interface Fault {
  kind: FaultKind;
  target: string;
  /** Of `cut`, `one-way` and `reset`. */
  peer?: string;
  /** Of `lose`, 0 to 1. */
  share?: number;
  /** Since the begin of the load. */
  atMs: number;
  durationMs: number;
  /** Faults of one lane follow each other; there are as many lanes as faults at a time. */
  lane: number;
}

/**
 * `dense`: as much at a time as there are lanes, with short breaks: does anything get lost? `apart`: one fault at a time,
 * the next when the last one must no longer be felt: is everything in time?
 */
export type Pace = "dense" | "apart";

/** One campaign of four is `apart`; by the seed, so that it replays. */
export function paceOf(seed: number): Pace {
  return seed % 4 === 0 ? "apart" : "dense";
}

/** What there is to break. */
export interface ScheduleOptions {
  seed: number;
  /** All faults are healed by then. */
  durationMs: number;
  entries: number;
  logics: number;
  extlogics: number;
  pace: Pace;
  /** Faults at a time, when `dense`. Default 2. */
  lanes?: number;
  /** `single`: one server, which is killed and started again. `replicated`: a group with failover on the hub. */
  redis?: "single" | "replicated";
  postgres?: "single" | "replicated";
}

type Choice = Omit<Fault, "atMs" | "durationMs" | "lane">;

const GAPS_MS: Readonly<Record<Pace, readonly [number, number]>> = { dense: [300, 1500], apart: [15_000, 17_000] };
/** When connections and load have found their pace. */
const FIRST_MS = 2000;
/** Shortest and longest duration of each kind. */
const DURATIONS_MS: Readonly<Record<FaultKind, readonly [number, number]>> = {
  kill: [500, 5000],
  pause: [2000, 12_000],
  cut: [2000, 8000],
  "one-way": [2000, 8000],
  lose: [3000, 8000],
  reset: [0, 0],
  flush: [0, 0],
  "half-open": [7000, 10_000],
  failover: [1000, 5000],
};

/**
 * The faults of one campaign, in order of their begin: the same for the same options. At most one fault per lane at a
 * time, none beyond the duration, and no two at a time on one target.
 */
export function makeSchedule(options: ScheduleOptions): Fault[] {
  const random = seededRandom(options.seed);
  const between = (min: number, max: number): number => Math.round(min + (max - min) * random());
  const gapMs = GAPS_MS[options.pace];
  const count = options.pace === "apart" ? 1 : (options.lanes ?? 2);
  const lanes = Array.from({ length: count }, (_, lane) => ({ lane, freeAtMs: FIRST_MS - gapMs[0] }));
  const faults: Fault[] = [];
  let deck: Choice[] = [];
  for (;;) {
    const lane = lanes.reduce((earliest, one) => (one.freeAtMs < earliest.freeAtMs ? one : earliest));
    if (deck.length === 0) deck = dealtFor(options.pace, shuffled(deckOf(options, random), random));
    const atMs = lane.freeAtMs + between(...gapMs);
    const busy = new Set(faults.filter((fault) => fault.atMs + fault.durationMs >= atMs).map(({ target }) => target));
    const index = deck.findIndex(({ target }) => !busy.has(target));
    const [choice] = deck.splice(Math.max(0, index), 1);
    // Unknown only with one component of everything: wait for the other lane.
    if (!choice || index === -1) {
      lane.freeAtMs = atMs;
      continue;
    }
    const durationMs = between(...DURATIONS_MS[choice.kind]);
    if (atMs + durationMs > options.durationMs) return faults;
    faults.push({ ...choice, atMs, durationMs, lane: lane.lane });
    lane.freeAtMs = atMs + durationMs;
  }
}

/**
 * Few faults fit in when they are apart: the first two are those with a time of their own, a killed entry (until it no longer
 * counts as online) and half-open clients (until they are pushed to).
 */
function dealtFor(pace: Pace, deck: readonly Choice[]): Choice[] {
  const firsts = [
    deck.find(({ kind, target }) => kind === "kill" && target.startsWith("entry-")),
    deck.find(({ kind }) => kind === "half-open"),
  ].filter((choice) => choice !== undefined);
  return pace === "dense" ? [...deck] : [...firsts, ...deck.filter((choice) => !firsts.includes(choice))];
}

/** Every kind of fault as often as it should come, on targets chosen by chance. */
function deckOf(options: ScheduleOptions, random: () => number): Choice[] {
  const any = (role: string, count: number): string => `${role}-${Math.floor(random() * count)}`;
  const entry = (): string => any("entry", options.entries);
  const logic = (): string => any("logic", options.logics);
  const extlogic = (): string => any("extlogic", options.extlogics);
  const share = (): number => Math.round(5 + 25 * random()) / 100;
  const deck: Choice[] = [];
  const link = (a: string, b: string): void => {
    deck.push({ kind: "cut", target: a, peer: b });
    const [target, peer] = random() < 0.5 ? [a, b] : [b, a];
    deck.push({ kind: "one-way", target, peer });
  };
  for (const target of [entry(), entry(), logic(), logic(), extlogic()]) deck.push({ kind: "kill", target });
  for (const target of [entry(), logic(), extlogic()]) deck.push({ kind: "pause", target });
  link(entry(), logic());
  for (const [store, isSingle] of [
    ["redis", options.redis !== "replicated"],
    ["postgres", options.postgres !== "replicated"],
  ] as const) {
    link(logic(), store);
    deck.push({ kind: "reset", target: logic(), peer: store });
    deck.push({ kind: isSingle ? "kill" : "failover", target: store });
    if (isSingle) deck.push({ kind: "pause", target: store });
  }
  link(extlogic(), "redis");
  deck.push({ kind: "flush", target: "redis" }, { kind: "half-open", target: "clients" });
  deck.push({ kind: "half-open", target: "clients" });
  for (const target of [entry(), logic(), "clients"]) deck.push({ kind: "lose", target, share: share() });
  deck.push({ kind: "reset", target: entry(), peer: "clients" }, { kind: "reset", target: entry(), peer: logic() });
  return deck;
}

/** For people: `pause logic-1 for 3.2 s`. */
export function describeFault({ kind, target, peer, share, durationMs }: Fault): string {
  const forSeconds = durationMs === 0 ? "" : ` for ${(durationMs / 1000).toFixed(1)} s`;
  const of = share === undefined ? "" : ` ${Math.round(share * 100)} % of what comes to`;
  return `${kind}${of} ${target}${peer === undefined ? "" : ` ${kind === "one-way" ? ">" : "-"} ${peer}`}${forSeconds}`;
}
