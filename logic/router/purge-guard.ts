// SPDX-License-Identifier: Apache-2.0

/** Deaths within this time count together. */
export const DEATH_WINDOW_MS = 60_000;
/** So many at once are an accident of theirs; more are more likely an error of whoever counts the dead. */
const MIN_DEATHS = 3;
const MAX_SHARE = 0.3;

/** What SQL knows of the fleet when a pod is declared dead. */
export interface Deaths {
  /** Entry pods that live, or were declared dead within {@link DEATH_WINDOW_MS}. */
  readonly known: number;
  /** Those declared dead within it, without the one in question. */
  readonly recent: number;
  /** The one in question is dead already: its purge was begun. */
  readonly isDead: boolean;
}

/** May the routes go, or is it held? */
export type PurgeVerdict = { readonly kind: "purge" } | { readonly kind: "hold"; readonly deaths: number };

/**
 * Blast-radius guard: an operator that sees a third of the fleet dead at once is more likely cut off than right. Held
 * purges cost little: routes of entries that are really dead stop counting with their leases. What was planned (a
 * drained entry), or is ordered by a person, goes on: `isForced`.
 */
export function judgePurge({ known, recent, isDead }: Deaths, isForced: boolean): PurgeVerdict {
  const deaths = recent + 1;
  if (isForced || isDead || deaths < MIN_DEATHS || deaths <= MAX_SHARE * known) return { kind: "purge" };
  return { kind: "hold", deaths };
}
