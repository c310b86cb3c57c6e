// SPDX-License-Identifier: Apache-2.0
import { abortDrain, drainSteps, startDrain } from "./entry-drains.ts";
import type { EntryAction, EntryPlanInput } from "./entry-plan.ts";
import { type RolloutStep, rolloutStep } from "./entry-rollout.ts";

/** Pods made in one pass; the next pass comes at once. */
export const CREATE_BATCH = 50;

/**
 * What to do about the entry pods now. Pure and idempotent: with nothing left to do it returns nothing but waits.
 * Holds in every order of events: a pod that takes connections is only taken away while `replicas` others do (or, in batches,
 * while those of the new revision have room for everybody), and no pod is made beyond twice `replicas` besides those that leave.
 */
export function planEntries(input: EntryPlanInput): EntryAction[] {
  const orphans = input.entries.filter((entry) => entry.isOrphan && !entry.isTerminating);
  const step = rolloutStep(input);
  return [
    ...orphans.map(
      (entry): EntryAction => ({ kind: "adopt", entry, reason: "it carries our labels and has no owner" }),
    ),
    ...drainSteps(
      input.entries.filter((entry) => !step.revived.includes(entry)),
      input,
      step.victims.some(({ reason }) => reason === "Update"),
    ),
    ...step.revived.map(abortDrain),
    ...creations(input, step),
    ...step.victims.map(({ entry, reason }) => startDrain(entry, reason, input)),
    ...(step.wait ? [{ kind: "wait" as const, ...step.wait }] : []),
  ];
}

function creations(input: EntryPlanInput, { fresh, spare, because }: RolloutStep): EntryAction[] {
  const likes = Array.from({ length: spare?.count ?? 0 }, () => spare?.like);
  const wanted = [...likes, ...Array.from({ length: fresh }, () => undefined)].slice(0, CREATE_BATCH);
  if (wanted.length === 0) return [];
  if (input.createBlocked) return [{ kind: "wait", reason: input.createBlocked, afterMs: 2_000 }];
  const pauseMs = input.createNotBeforeMs - input.nowMs;
  if (pauseMs > 0) {
    const seconds = Math.ceil(pauseMs / 1000);
    return [{ kind: "wait", reason: `entry pods failed again and again: next one in ${seconds} s`, afterMs: pauseMs }];
  }
  return wanted.map((like) => ({
    kind: "createEntry",
    ...(like ? { like } : {}),
    reason: like ? `an entry of revision ${like.revision} is missing, and the update does not go on` : because,
  }));
}
