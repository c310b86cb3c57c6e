// SPDX-License-Identifier: Apache-2.0
import { Random } from "../sim/random.ts";
import { firstBytesCase } from "./first-bytes.ts";
import { framesCase } from "./frames.ts";
import { httpCase } from "./http.ts";
import type { FuzzCase, Shape } from "./input.ts";
import { proxyCase } from "./proxy.ts";
import { websocketCase } from "./websocket.ts";

/** Kinds of client. */
export const LANES = {
  frames: framesCase,
  websocket: websocketCase,
  http: httpCase,
  first: firstBytesCase,
  proxy: proxyCase,
} as const;
export type Lane = keyof typeof LANES;

/** Of a hundred inputs, so many come from each lane. */
export const MEMORY_SHARES: Readonly<Record<Lane, number>> = {
  frames: 48,
  websocket: 25,
  http: 12,
  first: 4,
  proxy: 11,
};

/** The case of this number, the same on every machine; `SEED=n ONLY=lane/index` runs it again. */
export function caseOf(seed: number, lane: Lane, index: number): FuzzCase {
  const shape: Shape = LANES[lane];
  return shape(new Random(seed, `${lane}/${index}`));
}

/** What a run found. */
export interface Findings {
  inputs: number;
  /** A process that died, a client that was not let go, an answer that must not be. */
  crashes: number;
  uncaught: number;
  /** Of the event loop of the code under test. */
  maxStallMs: number;
  rssGrowthMiB: number;
  /** Heap and buffers after a collection of garbage: tells a leak in a short run, too. */
  liveGrowthMiB: number;
  /** The first few, each with what replays it. */
  failures: string[];
}

export const MAX_FAILURES = 10;

/** Limits of a run, besides no crash and nothing uncaught. */
export const MAX_STALL_MS = 50;
const MAX_GROWTH_MIB = 20;
/** Below so many inputs the memory of a process is not yet as large as its allocator makes it. */
export const FULL_RUN_INPUTS = 1_000_000;

/** Is this run without findings? */
export function isClean(found: Findings, wantedInputs: number): boolean {
  const isQuiet = found.crashes === 0 && found.uncaught === 0 && found.maxStallMs <= MAX_STALL_MS;
  const rssGrowthMiB = wantedInputs < FULL_RUN_INPUTS ? 0 : found.rssGrowthMiB;
  const growthMiB = Math.max(found.liveGrowthMiB, rssGrowthMiB);
  return isQuiet && growthMiB < MAX_GROWTH_MIB && found.inputs >= wantedInputs;
}

export function noFindings(): Findings {
  return { inputs: 0, crashes: 0, uncaught: 0, maxStallMs: 0, rssGrowthMiB: 0, liveGrowthMiB: 0, failures: [] };
}

const STATUS_LINE = /HTTP\/1\.1 (?!100)\d{3} /g;

/** More than one answer on one connection: a request was smuggled in the body of another. */
export function answers(text: string): number {
  return text.match(STATUS_LINE)?.length ?? 0;
}
