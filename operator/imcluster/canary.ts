// SPDX-License-Identifier: Apache-2.0
import type { EntryUpdateCanaryAbortOnSpec } from "../api/v1alpha1.ts";
import { isUnschedulable, type ObservedEntry, podTrouble } from "./observed.ts";

export interface CanaryFacts {
  revision: string;
  /** Pods that must do well. */
  wanted: number;
  soakMs: number;
  /** When the first canary was let through, and when all were ready; wall clock. */
  startedMs: number;
  soakingMs: number;
  isSoaking: boolean;
  abortOn: EntryUpdateCanaryAbortOnSpec;
  nowMs: number;
}

export type CanaryVerdict =
  /** Not all of them are ready. */
  | { kind: "waits" }
  | { kind: "noRoom"; message: string }
  | { kind: "soaks" }
  | { kind: "passed" }
  | { kind: "failed"; message: string };

/** Canaries that are never all ready for a whole soak are given up after twice the soak and this. */
export const READY_LIMIT_MS = 600_000;
/** Fewer logins say nothing about the rest. */
const MIN_LOGINS = 20;
/** Answers that are slower by less than this are no reason, whatever the share. */
const MIN_SLOWER_MS = 20;
/** Ends of pods that say nothing about what runs in them. */
const NOT_ITS_FAULT: ReadonlySet<string> = new Set(["Evicted", "NodeShutdown", "Terminated", "Preempting", "NodeLost"]);

/** How the pods of the wanted revision do beside the others. Pure. */
export function judgeCanary(entries: readonly ObservedEntry[], facts: CanaryFacts): CanaryVerdict {
  const fresh = entries.filter((entry) => entry.revision === facts.revision && !entry.isTerminating);
  const failure = fresh.map(failureOf).find((text) => text !== undefined);
  if (failure) return { kind: "failed", message: failure };
  const serving = fresh.filter((entry) => !entry.isDead && !entry.intent);
  const homeless = serving.find(isUnschedulable);
  if (homeless)
    return { kind: "noRoom", message: `the canary ${homeless.name} has no node: ${podTrouble(homeless.pod)}` };
  const ready = serving.filter(({ isReady }) => isReady);
  if (ready.length < facts.wanted) return lateOrWaiting(serving, facts);
  if (!facts.isSoaking) return facts.soakMs === 0 ? { kind: "passed" } : { kind: "soaks" };
  const old = entries.filter((entry) => entry.revision !== facts.revision && entry.isReady && !entry.intent);
  const worse = worseThan(ready, old, facts.abortOn);
  if (worse) return { kind: "failed", message: worse };
  return facts.nowMs - facts.soakingMs >= facts.soakMs ? { kind: "passed" } : { kind: "soaks" };
}

function failureOf(entry: ObservedEntry): string | undefined {
  const { phase, reason = "" } = entry.pod.status ?? {};
  if (phase === "Failed" && !NOT_ITS_FAULT.has(reason)) return `${entry.name}: ${podTrouble(entry.pod)}`;
  if (entry.restarts === 0) return undefined;
  return `${entry.name} was restarted: ${podTrouble(entry.pod) || "see kubectl logs --previous"}`;
}

function lateOrWaiting(serving: readonly ObservedEntry[], facts: CanaryFacts): CanaryVerdict {
  if (facts.nowMs - facts.startedMs < 2 * facts.soakMs + READY_LIMIT_MS) return { kind: "waits" };
  const trouble = serving.map(({ name, pod }) => [name, podTrouble(pod)].filter(Boolean).join(": "));
  return { kind: "failed", message: `it was not ready for long enough (${trouble.join("; ") || "no pod"})` };
}

/** What the new ones do worse; `undefined` when nothing, or when too little is known. */
function worseThan(
  fresh: readonly ObservedEntry[],
  old: readonly ObservedEntry[],
  { ackP99IncreasePercent, reconnectSuccessPercent }: EntryUpdateCanaryAbortOnSpec,
): string | undefined {
  const [now, before] = [loginSuccess(fresh), loginSuccess(old)];
  if (now !== undefined && now < reconnectSuccessPercent && now < (before ?? 100)) {
    return `${now.toFixed(1)} % of its logins succeed, ${(before ?? 100).toFixed(1)} % of those of the old entries`;
  }
  const [slow, usual] = [medianP99(fresh), medianP99(old)];
  if (slow === undefined || usual === undefined || slow - usual < MIN_SLOWER_MS) return undefined;
  if (slow <= usual * (1 + ackP99IncreasePercent / 100)) return undefined;
  return `its answers take up to ${slow} ms (p99), those of the old entries ${usual} ms`;
}

/** Percent; `undefined` for too few. */
function loginSuccess(entries: readonly ObservedEntry[]): number | undefined {
  let [all, failed] = [0, 0];
  for (const { probe } of entries) {
    all += probe?.logins ?? 0;
    failed += probe?.loginsFailed ?? 0;
  }
  return all < MIN_LOGINS ? undefined : ((all - failed) / all) * 100;
}

function medianP99(entries: readonly ObservedEntry[]): number | undefined {
  const known = entries.flatMap(({ probe }) => (probe?.answerP99Ms === undefined ? [] : [probe.answerP99Ms]));
  return known.sort((a, b) => a - b)[Math.floor(known.length / 2)];
}
