// SPDX-License-Identifier: Apache-2.0
import type { DrainLimits } from "./drain.ts";
import { type DrainTerms, estimateDrains, type Leaver } from "./drain-estimate.ts";
import { drainsAtOnce } from "./entry-drains.ts";
import type { UpdateLimits } from "./entry-plan.ts";
import { CREATE_BATCH } from "./entry-pods.ts";
import { roomyEntries } from "./entry-rollout.ts";
import type { BudgetLimits } from "./reconnect-rate.ts";

/** Pods whose clients move, and those that come in their place. */
export interface Move {
  /** In the order in which they go, those whose drain has begun first. */
  leavers: readonly Leaver[];
  /** New pods to wait for. */
  starts: number;
  /** Pods of the wanted revision that are ready. */
  fresh: number;
  replicas: number;
  update: UpdateLimits;
  /** They leave because a new revision takes their place. */
  isUpdate: boolean;
  drain: DrainLimits;
  budget: BudgetLimits;
  /** What all drains together may ask at present; `undefined`: they begin anew. */
  ratePerSecond?: number | undefined;
}

export interface MoveEstimate {
  /** From now until all of it is done. */
  seconds: number;
  /** Of each leaver, until its pod is let go. */
  each: number[];
  peakPerSecond: number;
}

/** From the creation of a pod until it is ready, with an image that the node has. */
const START_SECONDS = 10;

/** How long the moves take, and how many reconnect per second at the worst, if nobody suffers from them. Pure. */
export function estimateMove(move: Move): MoveEstimate {
  const { starts, update, isUpdate, leavers } = move;
  if (isUpdate && update.strategy === "Batched") return inBatches(move);
  const startSeconds = Math.ceil(starts / CREATE_BATCH) * START_SECONDS;
  const { seconds, peakPerSecond } = estimateDrains(leavers, { ...termsOf(move), beginSeconds: startSeconds });
  return { seconds: Math.max(startSeconds, ...seconds), each: seconds, peakPerSecond: Math.ceil(peakPerSecond) };
}

function termsOf({ drain, budget, ratePerSecond, isUpdate, replicas, update }: Move): DrainTerms {
  const terms = { drain, budget, ratePerSecond, isTogether: isUpdate, atOnce: drainsAtOnce({ replicas, update }) };
  return isUpdate ? terms : { ...terms, stayers: replicas };
}

/**
 * As long as those of the new revision have no room for everybody, a batch of them starts and a batch of old ones goes; then all
 * others close together.
 */
function inBatches(move: Move): MoveEstimate {
  const { leavers, starts, fresh, replicas, update } = move;
  const { batch } = update;
  const enough = Math.min(replicas, Math.max(batch, roomyEntries(sessionsOf(leavers), update)));
  const batches = Math.min(Math.ceil(starts / batch), Math.ceil(Math.max(0, enough - fresh) / batch));
  const begun = leavers.filter(({ phase }) => phase !== undefined).length;
  const each: number[] = [];
  let terms = termsOf(move);
  let [fromSeconds, peakPerSecond] = [0, 0];
  const drain = (group: readonly Leaver[], isTogether: boolean): void => {
    const found = estimateDrains(group, { ...terms, isTogether });
    each.push(...found.seconds.map((seconds) => fromSeconds + seconds));
    peakPerSecond = Math.max(peakPerSecond, found.peakPerSecond);
    if (group.length > 0) terms = { ...terms, ratePerSecond: found.ratePerSecond };
  };
  if (batches > 0) drain(leavers.slice(0, begun), true);
  for (let started = 1; started <= batches; started++) {
    fromSeconds = Math.max(fromSeconds, ...each) + START_SECONDS;
    if (started < batches) drain(leavers.slice(each.length, each.length + batch), false);
  }
  drain(leavers.slice(each.length), true);
  // The last ones start in the place of the last that go.
  const lastSeconds = starts > batches * batch ? START_SECONDS : 0;
  return { seconds: Math.max(0, ...each) + lastSeconds, each, peakPerSecond: Math.ceil(peakPerSecond) };
}

function sessionsOf(leavers: readonly Leaver[]): number {
  return leavers.reduce((sum, { waiting }) => sum + waiting, 0);
}

const STEPS: readonly (readonly [below: number, step: number])[] = [
  [20, 1],
  [60, 2],
  [180, 5],
  [600, 15],
];
const LAST_STEP = 60;

/** An estimate as it is told: each other figure in a status is a write, and nobody needs more than a twentieth of it. */
export function roughSeconds(seconds: number): number {
  const step = STEPS.find(([below]) => seconds < below)?.[1] ?? LAST_STEP;
  return Math.round(seconds / step) * step;
}
