// SPDX-License-Identifier: Apache-2.0
// How many broadcasts of a topic a user gets in a day. Nothing is written per user: what a user was given follows from what is in force.
import type { OpenPart } from "../store/broadcast-store.ts";

const DAY_MS = 86_400_000;
/** Looked at for one that has a bound: each may cost a look into the store. More than that of one topic in a day is nobody's plan. */
export const MAX_OF_DAY = 50;

/** The day (UTC) that a broadcast counts for, whenever a user comes for it. */
const dayOf = ({ notBeforeMs }: OpenPart): number => Math.floor(notBeforeMs / DAY_MS);

/** What is in force of the topic and day of `part` and came before it, oldest first, at most {@link MAX_OF_DAY}. Pure. */
export function earlierOfDay(parts: readonly OpenPart[], part: OpenPart): OpenPart[] {
  return parts
    .filter((one) => one.topic === part.topic && dayOf(one) === dayOf(part) && one.activationSeq < part.activationSeq)
    .slice(0, MAX_OF_DAY);
}

/**
 * May a user who is meant by `part` have it, after those of its day that it was given? One that was withheld counts for nothing.
 * @param isMeant whether an earlier one was for the user
 */
export async function isWithinCap(
  part: OpenPart,
  earlier: readonly OpenPart[],
  isMeant: (part: OpenPart) => Promise<boolean>,
): Promise<boolean> {
  if (part.maxPerDay === 0 || earlier.length < part.maxPerDay) return true;
  let given = 0;
  for (const one of earlier)
    if ((one.maxPerDay === 0 || given < one.maxPerDay) && (await isMeant(one)) && ++given >= part.maxPerDay)
      return false;
  return true;
}
