// SPDX-License-Identifier: Apache-2.0
// What a run amounts to. Pure.
import { type PairsReport, pairsFigures } from "../workload/pairs.ts";
import { silences } from "./silence.ts";

/** Longer than this nobody waits for a message to leave. */
const LONGEST_SILENCE_S = 60;
/** By a switchover and by a kill. On a machine without time to spare CloudNativePG may promote once more: messages are held to the same then. */
const PROMOTIONS = 2;

/** Figures of a run; `silence` is by what was done, in seconds. */
export interface Figures extends ReturnType<typeof pairsFigures> {
  primaries: readonly string[];
  silenceSeconds: Readonly<Record<string, number>>;
}

export function figuresOf(report: PairsReport, primaries: readonly string[]): Figures {
  const inSeconds = [...silences(report.events)].map(([what, ms]) => [what, Math.round(ms / 10) / 100]);
  return {
    ...pairsFigures(report),
    primaries,
    silenceSeconds: Object.fromEntries(inSeconds) as Record<string, number>,
  };
}

/** Where it falls short, in words; nothing: it holds. */
export function faultsOf(figures: Figures): string[] {
  const { sent, acked, delivered, primaries, silenceSeconds } = figures;
  const none = (["lost", "duplicated", "reordered", "corrupted"] as const).filter((name) => figures[name] !== 0);
  const long = Object.entries(silenceSeconds).filter(([, seconds]) => !(seconds <= LONGEST_SILENCE_S));
  return [
    ...none.map((name) => `${figures[name]} ${name}`),
    ...(sent > 0 && acked === sent ? [] : [`${acked} of ${sent} acknowledged`]),
    ...(delivered === sent ? [] : [`${delivered} of ${sent} shown`]),
    ...(primaries.length > PROMOTIONS ? [] : [`primaries were ${primaries.join(", ")}: not two promotions`]),
    ...(Object.keys(silenceSeconds).length === PROMOTIONS + 1 ? [] : ["a fault is missing"]),
    ...long.map(([what, seconds]) => `${what}: no send acknowledged for ${seconds} s`),
  ];
}
