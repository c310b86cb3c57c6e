// SPDX-License-Identifier: Apache-2.0
import type { CampaignResult } from "./campaign.ts";

/** The last line of a run. */
export interface CampaignFigures {
  campaigns: number;
  acked: number;
  faults: number;
  recalls: number;
  edits: number;
  groups: number;
  groupChanges: number;
  broadcasts: number;
  lost: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
  /** Longest wait for a push, beyond the last fault that touched it, ms. */
  pushLateMax: number;
  /** Longest time that a killed entry counted as online. */
  fakeOnlineMaxMs: number;
  /** Of runs with failovers: longest time until sends were acknowledged again, ms. */
  resumeMs?: number;
  /** Longest time in which the clients themselves got no turn: above some 100 ms the machine was too busy for the times. */
  stallMaxMs: number;
  /** Violations of all checks. */
  violations: number;
  seconds: number;
  /** Seeds that broke a promise. */
  failedSeeds: number[];
}

/** What a run must reach, beside losing nothing. */
export interface Goals {
  acked: number;
  faults: number;
  fakeOnlineMaxMs: number;
  resumeMs: number;
}

/** Load that the two-core reference machine has to carry through all faults, and how dense these are. */
const ACKED_PER_SECOND = 417;
const SECONDS_PER_FAULT = 4.8;
/** Of the longest runs. */
const MOST_ACKED = 1_000_000;
const MOST_FAULTS = 500;
/** The promise of docs/delivery.md. */
const FAKE_ONLINE_MS = 15_000;
const RESUME_MS = 10_000;

/**
 * Eight campaigns of 60 s: 200,160 acknowledged messages, 100 faults. A replay of some campaign has to keep the promises
 * only: how much falls into it depends on its seed and on what else the machine does.
 */
export function goalsOf(campaigns: number, seconds: number, isReplay = false): Goals {
  const total = campaigns * seconds;
  return {
    acked: isReplay ? 1 : Math.min(MOST_ACKED, total * ACKED_PER_SECOND),
    faults: isReplay ? 1 : Math.min(MOST_FAULTS, Math.floor(total / SECONDS_PER_FAULT)),
    fakeOnlineMaxMs: FAKE_ONLINE_MS,
    resumeMs: RESUME_MS,
  };
}

/** Sums the campaigns of a run. */
export function sumUp(results: readonly CampaignResult[]): CampaignFigures {
  const sum = (of: (result: CampaignResult) => number): number => results.reduce((total, one) => total + of(one), 0);
  const most = (of: (result: CampaignResult) => number): number => Math.max(0, ...results.map(of));
  return {
    campaigns: results.length,
    acked: sum(({ acked }) => acked),
    faults: sum(({ faults }) => faults),
    recalls: sum(({ recalls }) => recalls),
    edits: sum(({ edits }) => edits),
    groups: sum(({ groups }) => groups),
    groupChanges: sum(({ groupChanges }) => groupChanges),
    broadcasts: sum(({ broadcasts }) => broadcasts),
    lost: sum(({ lost }) => lost),
    duplicated: sum(({ duplicated }) => duplicated),
    reordered: sum(({ reordered }) => reordered),
    corrupted: sum(({ corrupted }) => corrupted),
    pushLateMax: most(({ pushLateMaxMs }) => pushLateMaxMs),
    fakeOnlineMaxMs: most(({ fakeOnlineMaxMs }) => fakeOnlineMaxMs),
    ...(results.some(({ resumeMs }) => resumeMs !== undefined)
      ? { resumeMs: most(({ resumeMs = 0 }) => resumeMs) }
      : {}),
    stallMaxMs: most(({ stallMaxMs }) => stallMaxMs),
    violations: sum(({ violated }) => Object.values(violated).reduce((total, count) => total + count, 0)),
    seconds: sum(({ seconds }) => seconds),
    failedSeeds: results.filter(({ violations }) => violations.length > 0).map(({ seed }) => seed),
  };
}

/** What only holds where the machine has nothing else to do: kept promises of times are C7. */
const TIMED_CHECK = "C7";

/** The same result without what was judged by the clock. */
export function untimed(result: CampaignResult): CampaignResult {
  const { [TIMED_CHECK]: _late, ...violated } = result.violated;
  const violations = result.violations.filter(({ check }) => check !== TIMED_CHECK);
  return { ...result, violated, violations, fakeOnlineMaxMs: 0, pushLateMaxMs: 0 };
}

/** Why a run falls short; empty when it does not. */
export function shortfalls(figures: CampaignFigures, goals: Goals): string[] {
  const found: string[] = [];
  for (const name of ["lost", "duplicated", "reordered", "corrupted", "violations"] as const)
    if (figures[name] > 0) found.push(`${name}: ${figures[name]}`);
  if (figures.acked < goals.acked) found.push(`acked: ${figures.acked} of ${goals.acked}`);
  if (figures.faults < goals.faults) found.push(`faults: ${figures.faults} of ${goals.faults}`);
  for (const name of ["recalls", "edits", "groups", "groupChanges", "broadcasts"] as const)
    if (figures[name] === 0) found.push(`${name}: none`);
  for (const name of ["fakeOnlineMaxMs", "resumeMs"] as const) {
    const value = figures[name] ?? 0;
    if (value > goals[name]) found.push(`${name}: ${value}, at most ${goals[name]}`);
  }
  return found;
}
