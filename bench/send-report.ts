// SPDX-License-Identifier: Apache-2.0
import type { FloorFigures } from "./floor.ts";
import { type Measured, progress } from "./load-generator.ts";
import type { Settings } from "./send-settings.ts";
import type { StoredFigures } from "./verify-stored.ts";

/** Phases of one load by name; saturated rounds are `saturated N`, open loops `RATE/s`. */
export type Phases = Record<string, Measured>;

/** Everything that a run of `bench/send.ts` measured. */
export interface SendFigures {
  floor: FloorFigures;
  plain: Phases;
  tls: Phases | undefined;
  peer: Phases | undefined;
  stored: StoredFigures;
}

const TARGETS = {
  ratioToSocketIoInsert: 3,
  ratioToFloor: 0.25,
  cpuMicrosAt5000: 150,
  p50MsAt10000: 2,
  p99MsAt10000: 10,
};

/** The saturated round with the highest rate. */
export function bestRound(phases: Phases): Measured {
  const rounds = Object.entries(phases).filter(([name]) => name.startsWith("saturated"));
  const [first, ...rest] = rounds.map(([, figures]) => figures);
  if (!first) throw new Error("no saturated round was measured");
  return rest.reduce((best, round) => (round.messagesPerSecond > best.messagesPerSecond ? round : best), first);
}

/** The JSON line. `ok` = nothing in `missed`, and everything sent was stored, delivered once and receipted. */
export function reportOf(settings: Settings, { floor, plain, tls, peer, stored }: SendFigures) {
  const best = bestRound(plain);
  const bestPeer = peer && bestRound(peer);
  const lost = missing(plain) + (tls ? missing(tls) : 0);
  const acked = [plain, tls ?? {}].flatMap((run) => Object.values(run)).reduce((sum, phase) => sum + phase.acked, 0);
  const isComplete = lost === 0 && stored.messages >= acked && stored.devicesBehind === 0;
  if (!isComplete) progress(`NOT COMPLETE: ${JSON.stringify({ lost, acked, ...stored })}`);
  const at5000 = plain["5000/s"];
  const at10000 = plain["10000/s"];
  const figures = {
    messagesPerSecond: best.messagesPerSecond,
    ratioToSocketIoInsert: bestPeer && ratio(best.messagesPerSecond, bestPeer.messagesPerSecond),
    ratioToFloor: ratio(best.messagesPerSecond, floor.messagesPerSecond),
    cpuMicrosPerMessage: at5000?.cpuMicrosPerMessage.total,
    ackP50Ms: at10000?.ackP50Ms,
    ackP99Ms: at10000?.ackP99Ms,
  };
  const missed = [
    ...atLeast("messagesPerSecond", figures.messagesPerSecond, settings.target),
    ...atLeast("ratioToSocketIoInsert", figures.ratioToSocketIoInsert, TARGETS.ratioToSocketIoInsert),
    ...atLeast("ratioToFloor", figures.ratioToFloor, TARGETS.ratioToFloor),
    ...atMost("cpuMicrosPerMessage", figures.cpuMicrosPerMessage, TARGETS.cpuMicrosAt5000),
    ...atMost("ackP50Ms", figures.ackP50Ms, TARGETS.p50MsAt10000),
    ...atMost("ackP99Ms", figures.ackP99Ms, TARGETS.p99MsAt10000),
  ];
  const { users, window, bytes: contentBytes } = settings;
  return {
    bench: "send",
    ok: isComplete && missed.length === 0,
    missed,
    ...figures,
    users,
    window,
    contentBytes,
    lostOrDuplicated: lost,
    storedMessages: stored.messages,
    devicesBehind: stored.devicesBehind,
    floor,
    saturated: shortOf(best),
    ...(bestPeer ? { socketIoInsert: shortOf(bestPeer) } : {}),
    ...(tls ? { tls: shortOf(bestRound(tls)) } : {}),
    atRate: Object.fromEntries(
      Object.entries(plain)
        .filter(([name]) => name.endsWith("/s"))
        .map(([name, phase]) => [name, shortOf(phase)]),
    ),
  };
}

function shortOf(phase: Measured) {
  const { messagesPerSecond, cpuMicrosPerMessage, ackP50Ms, ackP99Ms, deliveredP50Ms, deliveredP99Ms } = phase;
  const { workPerMessage, generatorCpuRatio: generatorCores, strangerCores } = phase;
  const latency = { ackP50Ms, ackP99Ms, deliveredP50Ms, deliveredP99Ms };
  return { messagesPerSecond, cpuMicrosPerMessage, workPerMessage, ...latency, generatorCores, strangerCores };
}

function missing(phases: Phases): number {
  return Object.values(phases).reduce((sum, phase) => sum + phase.undelivered + phase.duplicates, 0);
}

function ratio(figure: number, base: number): number {
  return Math.round((figure / base) * 1000) / 1000;
}

/** A figure that was not measured misses nothing. */
function atLeast(name: string, figure: number | undefined, target: number): string[] {
  return figure === undefined || figure >= target ? [] : [`${name} ${figure} < ${target}`];
}

function atMost(name: string, figure: number | undefined, target: number): string[] {
  return figure === undefined || figure <= target ? [] : [`${name} ${figure} > ${target}`];
}
