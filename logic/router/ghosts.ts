// SPDX-License-Identifier: Apache-2.0
import type { EntryStart } from "../store/store.ts";

/** A younger one without a pod was perhaps started by an operator of which the asking one does not know yet. */
const SETTLED_MS = 60_000;

/** Why an incarnation is dead, or that it may live. */
export type Standing =
  | "living"
  /** Declared dead before. */
  | "dead"
  /** A later process of the same pod told its incarnation. */
  | "superseded"
  /** There is no such pod. */
  | "podless";

/**
 * Judges an incarnation by the pods that exist. Pure.
 *
 * @param living the incarnation that each existing pod told last, by pod; empty where it told none
 */
export function standingOf(start: EntryStart, living: ReadonlyMap<string, string>): Standing {
  if (start.isDead) return "dead";
  const told = living.get(start.podUid);
  if (told === undefined) return start.ageMs < SETTLED_MS ? "living" : "podless";
  return numberOf(start.incarnation) < numberOf(told) ? "superseded" : "living";
}

/** Incarnations of a pod are `<podUid>.<growing number>`; 0 for what is none. */
function numberOf(incarnation: string): number {
  return Number(/\.([0-9]+)$/.exec(incarnation)?.[1] ?? 0);
}
