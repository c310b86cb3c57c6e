// SPDX-License-Identifier: Apache-2.0
import type { DrainReason } from "./drain.ts";
import { canReopen, drainsAtOnce, isAbortable, isCalledOff, isCutOff, takesPlace } from "./entry-drains.ts";
import type { EntryPlanInput, UpdateLimits } from "./entry-plan.ts";
import { isActive, isLeaving, isUnschedulable, type ObservedEntry, podTrouble } from "./observed.ts";

/** What is to be done about the number of pods of each revision. */
export interface RolloutStep {
  /** Pods of the wanted revision to make. */
  fresh: number;
  /** Pods to make as an old one was, while the wanted revision may not take their place. */
  spare: { count: number; like: ObservedEntry } | undefined;
  /** Why the fresh ones are made. */
  because: string;
  /** Their drain is called off. */
  revived: ObservedEntry[];
  victims: { entry: ObservedEntry; reason: DrainReason }[];
  wait: { reason: string; afterMs: number } | undefined;
}

/** A pod of the surge for which no node has room: after this, old pods make room in batches. */
export const SURGE_PATIENCE_MS = 120_000;
/** An entry of the new revision is filled to this share at most by clients of old ones that all close at once. */
const FILL = 0.7;

/** The pods by what they are good for. */
interface Census {
  active: ObservedEntry[];
  fresh: ObservedEntry[];
  old: ObservedEntry[];
  leaving: ObservedEntry[];
  ready: number;
  readyFresh: number;
}

/** Pure. What a rollout, a scaling or a loss makes necessary now. */
export function rolloutStep(input: EntryPlanInput): RolloutStep {
  const census = takeCensus(input);
  if (input.replicas === 0) return none(census);
  // Those that nobody wants away any more come back first, whatever else is missing.
  const back = census.leaving.filter((entry) => isCalledOff(entry) && canReopen(entry));
  const revived = back.length > 0 ? back : revivable(input, census);
  const stage = census.old.length === 0 && input.stage.kind !== "open" ? { kind: "open" as const } : input.stage;
  const counts = countsOf({ ...input, stage }, census, revived);
  return {
    ...counts,
    revived,
    victims: revived.length > 0 ? [] : victims({ ...input, stage }, census),
    wait: surgeWait(input, census),
  };
}

/** Nobody is wanted: all go together, whatever update is under way. */
function none({ active }: Census): RolloutStep {
  const victims = active.map((entry): RolloutStep["victims"][number] => ({ entry, reason: "ScaleDown" }));
  return { fresh: 0, spare: undefined, because: "", revived: [], victims, wait: undefined };
}

function takeCensus(input: EntryPlanInput): Census {
  const entries = input.entries.filter((entry) => !isCutOff(entry, input));
  // One that has to go is replaced in the same pass in which its drain is planned.
  const active = entries.filter((entry) => isActive(entry) && !entry.cause);
  const fresh = active.filter(({ revision }) => revision === input.revision);
  return {
    active,
    fresh,
    old: active.filter(({ revision }) => revision !== input.revision),
    leaving: entries.filter((entry) => isLeaving(entry) || (isActive(entry) && entry.cause)),
    ready: active.filter(({ isReady }) => isReady).length,
    readyFresh: fresh.filter(({ isReady }) => isReady).length,
  };
}

type Counts = Pick<RolloutStep, "fresh" | "spare" | "because">;

function countsOf(input: EntryPlanInput, census: Census, revived: readonly ObservedEntry[]): Counts {
  const { replicas, stage } = input;
  const { active, fresh, old } = census;
  const missing = replicas - active.length - revived.length;
  const room = 2 * replicas - active.length - revived.length;
  const missingOld = Math.min(room, replicas - old.length - (revived.length - freshOf(input, revived)));
  switch (stage.kind) {
    case "open":
      return {
        fresh: Math.max(0, freshWanted(input, census, revived)),
        spare: undefined,
        because: why(input, missing),
      };
    case "canary": {
      const wanted = Math.min(stage.entries, replicas) - fresh.length - freshOf(input, revived);
      const canaries = Math.max(0, Math.min(wanted, room - Math.max(0, missingOld)));
      return {
        ...replacements(input, census, { old: missingOld, any: missing }, canaries),
        because: "canary of the update",
      };
    }
    case "hold":
      return replacements(input, census, { old: missing, any: missing }, 0);
    case "abort":
      return { ...replacements(input, census, { old: missingOld, any: 0 }, 0), fresh: 0 };
  }
}

function freshOf({ revision }: EntryPlanInput, entries: readonly ObservedEntry[]): number {
  return entries.filter((entry) => entry.revision === revision).length;
}

function why({ replicas, revision }: EntryPlanInput, missing: number): string {
  return missing > 0 ? `${missing} of ${replicas} entries are missing` : `update to revision ${revision}`;
}

/**
 * Lost pods come back as they were where one of them can be seen to work, else as the spec wants them now.
 *
 * @param missing old ones, and pods of any revision
 * @param extra pods of the wanted revision besides
 */
function replacements(
  input: EntryPlanInput,
  census: Census,
  missing: { old: number; any: number },
  extra: number,
): Counts {
  const because = why(input, missing.any);
  const like = mostCommon(census.old.filter(({ isReady }) => isReady));
  if (!like) return { fresh: Math.max(0, missing.any) + extra, spare: undefined, because };
  return { fresh: extra, spare: missing.old > 0 ? { count: missing.old, like } : undefined, because };
}

function mostCommon(entries: readonly ObservedEntry[]): ObservedEntry | undefined {
  const count = (revision: string) => entries.filter((entry) => entry.revision === revision).length;
  return [...entries].sort((a, b) => count(b.revision) - count(a.revision) || a.name.localeCompare(b.name))[0];
}

/** Pods of the wanted revision to make while nothing holds the rollout back. */
function freshWanted(input: EntryPlanInput, census: Census, revived: readonly ObservedEntry[]): number {
  const { replicas, update } = input;
  const active = census.active.length + revived.length;
  if (update.strategy === "OnDelete") return replicas - active;
  const wanted = replicas - census.fresh.length - freshOf(input, revived);
  const updating = census.leaving.filter((entry) => entry.intent?.reason === "Update").length - revived.length;
  if (goesInBatches(input, census) && (census.old.length > 0 || updating > 0))
    return Math.min(wanted, replicas + update.batch - active - Math.max(0, updating));
  return Math.min(wanted, 2 * replicas - active);
}

/** No room for the whole surge, and that for long: the old pods must make it. */
function isDegraded(input: EntryPlanInput, census: Census): boolean {
  return census.fresh.some((entry) => isUnschedulable(entry) && ageMs(entry, input.nowMs) >= SURGE_PATIENCE_MS);
}

function goesInBatches(input: EntryPlanInput, census: Census): boolean {
  return input.update.strategy === "Batched" || isDegraded(input, census);
}

/** Does a rollout go on in batches although a whole second set is wanted, because no node has room for it? */
export function isSurgeShort(input: EntryPlanInput): boolean {
  const census = takeCensus(input);
  return input.update.strategy === "BlueGreen" && census.old.length > 0 && isDegraded(input, census);
}

function ageMs(entry: ObservedEntry, nowMs: number): number {
  const madeMs = Date.parse(entry.pod.metadata.creationTimestamp ?? "");
  return Number.isNaN(madeMs) ? 0 : nowMs - madeMs;
}

function surgeWait(input: EntryPlanInput, census: Census): RolloutStep["wait"] {
  const waiting = census.fresh.filter(isUnschedulable);
  const [first] = waiting;
  if (!first || census.old.length === 0) return undefined;
  const count = `${waiting.length} of ${input.replicas} new entries have no node (${podTrouble(first.pod)})`;
  if (isDegraded(input, census)) {
    const reason = `${count}: old ones make room while ${input.replicas} others are ready; add a node if that lasts`;
    return { reason, afterMs: 5_000 };
  }
  const leftMs = SURGE_PATIENCE_MS - Math.max(...waiting.map((entry) => ageMs(entry, input.nowMs)));
  const afterMs = Math.max(500, Math.min(5_000, leftMs));
  return { reason: `${count}: if that lasts two minutes, old ones make room in batches`, afterMs };
}

/**
 * Drains to call off: of wanted pods that are missing; and, when so many of the pods that should have taken over are gone
 * that users find no place, of any pod that still can.
 */
function revivable(input: EntryPlanInput, census: Census): ObservedEntry[] {
  const { replicas, revision, stage } = input;
  const candidates = census.leaving.filter((entry) => isAbortable(entry) && canReopen(entry));
  if (candidates.length === 0) return [];
  const limit = stage.kind === "canary" && census.old.length > 0 ? Math.min(stage.entries, replicas) : replicas;
  const missing = stage.kind === "abort" ? 0 : limit - census.fresh.length;
  const wanted = candidates.filter((entry) => entry.revision === revision).slice(0, Math.max(0, missing));
  if (census.ready * 2 >= (goesInBatches(input, census) ? Math.min(replicas, input.update.batch) : replicas))
    return wanted;
  const others = candidates.filter((entry) => entry.revision !== revision);
  const room = Math.min(replicas - census.ready, 2 * replicas - census.active.length) - wanted.length;
  return [...wanted, ...others.slice(0, Math.max(0, room))];
}

/** So many ready pods of the new revision, and no client needs an old one any more. */
function enoughFresh(input: EntryPlanInput, census: Census): number {
  const { replicas, update } = input;
  if (!goesInBatches(input, census)) return replicas;
  const serving = [...census.active, ...census.leaving].filter((entry) => entry.hasStarted);
  if (serving.some(({ probe }) => probe === undefined)) return replicas;
  const connections = serving.reduce((sum, { probe }) => sum + (probe?.connections ?? 0), 0);
  return Math.min(replicas, Math.max(update.batch, roomyEntries(connections, update)));
}

/** Entries that have room for so many clients. */
export function roomyEntries(clients: number, { maxConnectionsPerPod }: Pick<UpdateLimits, "maxConnectionsPerPod">) {
  return Math.ceil(clients / (maxConnectionsPerPod * FILL));
}

function victims(input: EntryPlanInput, census: Census): RolloutStep["victims"] {
  const { replicas, stage, update } = input;
  const { active, fresh, old } = census;
  if (stage.kind === "abort") return leave(input, census, fresh, fresh.length, "Update");
  if (stage.kind === "canary" || stage.kind === "hold")
    return leave(input, census, old, old.length - replicas, "ScaleDown");
  const isRollout = old.length > 0 && update.strategy !== "OnDelete";
  if (!isRollout) return leave(input, census, active, active.length - replicas, "ScaleDown");
  // All at once, so that nobody who leaves one of them arrives at another.
  if (census.readyFresh >= enoughFresh(input, census))
    return old.map((entry): RolloutStep["victims"][number] => ({ entry, reason: "Update" }));
  if (goesInBatches(input, census)) {
    // The whole batch first: if it has room for everybody, nobody moves twice.
    if (isBatchStarting(input, census)) return [];
    return leave(input, census, old, active.length - replicas, "Update");
  }
  // Leftovers of an earlier rollout, or of a larger fleet, that the surge has no room beside.
  const tooMany = replicas - fresh.length - (2 * replicas - active.length);
  return leave(input, census, old, Math.min(old.length - replicas, tooMany), "Update");
}

/** A new entry is not made or not ready yet, and there is hope that it will be. */
function isBatchStarting(input: EntryPlanInput, census: Census): boolean {
  if (freshWanted(input, census, []) > 0) return true;
  const isShort = isDegraded(input, census);
  return census.fresh.some((entry) => !entry.isReady && !(isShort && isUnschedulable(entry)));
}

/** Of the candidates, those that may go now: a ready pod, or one with sessions, only while enough others can take over. */
function leave(
  input: EntryPlanInput,
  census: Census,
  candidates: readonly ObservedEntry[],
  excess: number,
  reason: DrainReason,
): RolloutStep["victims"] {
  if (excess <= 0) return [];
  const leaving = census.leaving.filter((entry) => takesPlace(entry, input)).length;
  let slots = Math.min(excess, drainsAtOnce(input) - leaving);
  let { ready } = census;
  const chosen: RolloutStep["victims"] = [];
  for (const entry of [...candidates].sort((a, b) => compareVictims(a, b, input.revision))) {
    if (slots <= 0) break;
    if (!mayLeave(entry, ready, input.replicas)) continue;
    if (entry.isReady) ready--;
    slots--;
    chosen.push({ entry, reason });
  }
  return chosen;
}

function mayLeave(entry: ObservedEntry, ready: number, replicas: number): boolean {
  if (entry.isReady) return ready - 1 >= replicas;
  return (entry.probe?.sessions ?? 0) === 0 || ready >= replicas;
}

/** Not ready first, then of other revisions, then with the fewest sessions. */
export function compareVictims(a: ObservedEntry, b: ObservedEntry, revision: string): number {
  const rank = (entry: ObservedEntry): number => (entry.isReady ? 2 : 0) + (entry.revision === revision ? 1 : 0);
  const sessions = (entry: ObservedEntry) => entry.probe?.sessions ?? 0;
  return rank(a) - rank(b) || sessions(a) - sessions(b) || a.name.localeCompare(b.name);
}
