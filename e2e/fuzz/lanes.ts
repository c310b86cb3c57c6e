// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { Random } from "../sim/random.ts";
import { carrierCase, MAX_REQUESTS, openRequest } from "./carrier.ts";
import { firstBytesCase } from "./first-bytes.ts";
import { framesCase } from "./frames.ts";
import { httpCase } from "./http.ts";
import type { FuzzCase, Shape } from "./input.ts";
import { jsonCase } from "./json.ts";
import type { LeaseForge } from "./leases.ts";
import { proxyCase } from "./proxy.ts";
import { websocketCase } from "./websocket.ts";

/** Kinds of client that need nothing but a socket. */
export const LANES = {
  frames: framesCase,
  websocket: websocketCase,
  json: jsonCase,
  http: httpCase,
  first: firstBytesCase,
  proxy: proxyCase,
} as const;
/** `carrier`: requests of the HTTP carrier, beside a session that is open. */
export type Lane = keyof typeof LANES | "carrier";
/** Over real sockets only: TLS. */
export type SocketLane = Lane | "tls";
export const ALL_LANES: readonly Lane[] = [...(Object.keys(LANES) as (keyof typeof LANES)[]), "carrier"];

/** Of a hundred inputs, so many come from each lane. */
export const MEMORY_SHARES: Readonly<Record<Lane, number>> = {
  frames: 42,
  websocket: 20,
  json: 5,
  http: 11,
  carrier: 10,
  first: 3,
  proxy: 9,
};

/** The case of this number, the same on every machine; `SEED=n ONLY=lane/index` runs it again. */
export function caseOf(seed: number, lane: Exclude<Lane, "carrier">, index: number): FuzzCase {
  const shape: Shape = LANES[lane];
  return shape(new Random(seed, `${lane}/${index}`));
}

/** As {@link caseOf}; the lease of the session differs from run to run, and what is done to it does not. */
export function carrierCaseOf(seed: number, index: number, forge: LeaseForge): FuzzCase {
  return carrierCase(new Random(seed, `carrier/${index}`), forge, carrierOpening(seed, index).requests);
}

/** What is known of a case before its session is open: the request that opens it, and how many follow beside it. */
export function carrierOpening(seed: number, index: number): { request: Buffer; requests: number } {
  const random = new Random(seed, `carrier/${index}/open`);
  const request = openRequest(random.pick(["stream", "poll"] as const), random);
  return { request, requests: random.int(1, MAX_REQUESTS) };
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
  /** By lane, the share of cases that got past the parser. */
  deep: Partial<Record<SocketLane, number>>;
  /** The first few, each with what replays it. */
  failures: string[];
}

export const MAX_FAILURES = 10;

/** Limits of a run, besides no crash and nothing uncaught. */
export const MAX_STALL_MS = 50;
export const MAX_GROWTH_MIB = 20;
/** Below so many inputs the memory of a process is not yet as large as its allocator makes it. */
export const FULL_RUN_INPUTS = 1_000_000;

/** Memory that grew too much after the warm-up, each as text. */
export function growthFailures(found: Findings, wantedInputs: number): string[] {
  const failures: string[] = [];
  const check = (kind: string, growthMiB: number): void => {
    if (growthMiB >= MAX_GROWTH_MIB) failures.push(`${kind} memory grew by ${growthMiB} MiB after the warm-up`);
  };
  check("live", found.liveGrowthMiB);
  if (wantedInputs >= FULL_RUN_INPUTS) check("resident", found.rssGrowthMiB);
  return failures;
}

/** Is this run without findings? */
export function isClean(found: Findings, wantedInputs: number): boolean {
  const isQuiet = found.crashes === 0 && found.uncaught === 0 && found.maxStallMs <= MAX_STALL_MS;
  const isWhole = found.inputs >= wantedInputs && found.failures.length === 0;
  return isQuiet && isWhole && growthFailures(found, wantedInputs).length === 0;
}

export function noFindings(): Findings {
  return {
    inputs: 0,
    crashes: 0,
    uncaught: 0,
    maxStallMs: 0,
    rssGrowthMiB: 0,
    liveGrowthMiB: 0,
    deep: {},
    failures: [],
  };
}

const STATUS_LINE = /HTTP\/1\.1 (?!100)\d{3} /g;
const LEASE = /^(?:im-lease: |data: )([A-Za-z0-9_-]{40,})\r?$/gim;

/** Leases that an entry wrote, each once: in headers, and in the first event of a stream. */
export function leasesIn(text: string): string[] {
  return [...new Set([...text.matchAll(LEASE)].map((match) => match[1] ?? ""))];
}

/** More than one answer on one connection, where one was due: a request was smuggled in the body of another. */
export function answers(text: string): number {
  return text.match(STATUS_LINE)?.length ?? 0;
}
