// SPDX-License-Identifier: Apache-2.0
// What people write after a make target: read in one place, so that a slip is told in one way, before anything begins.
import { ClusterFault } from "./fault.ts";

const REMEDY = "`make help` lists the targets with their variables.";

/** A variable that cannot be used, and what it takes. */
export function unusable(variable: string, text: string, wanted: string): ClusterFault {
  return new ClusterFault(`${variable}="${text}" cannot be used: ${wanted}.`, REMEDY);
}

/** Bounds of a number, both of them allowed. */
export interface Bounds {
  /** Default 1. */
  from?: number;
  /** Default 2^53-1. */
  to?: number;
}

/** A whole number. @throws {ClusterFault} for anything else */
export function wholeNumber(variable: string, text: string, bounds: Bounds = {}): number {
  const { from = 1, to = Number.MAX_SAFE_INTEGER } = bounds;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= from && value <= to) return value;
  const range = to === Number.MAX_SAFE_INTEGER ? `from ${from} on` : `from ${from} to ${to}`;
  throw unusable(variable, text, `it is a whole number ${range}`);
}

/** One of the names that there are. @throws {ClusterFault} for another */
export function oneOf<T extends string>(variable: string, text: string, known: readonly T[]): T {
  const found = known.find((name) => name === text);
  if (found === undefined) throw unusable(variable, text, `it is one of ${known.join(", ")}`);
  return found;
}

/** Of a seed, and of how many: nobody waits for more. */
export const SEED_BOUNDS = { from: 0, to: 1_000_000_000 } as const satisfies Bounds;

/** Names with commas between them, in the order of `known`; all of them for undefined or "". @throws {ClusterFault} for an unknown one */
export function someOf<T extends string>(variable: string, text: string | undefined, known: readonly T[]): T[] {
  const wanted = (text ?? "").split(",").filter((name) => name !== "");
  if (wanted.length === 0) return [...known];
  if (!wanted.every((name) => known.some((one) => one === name)))
    throw unusable(variable, text ?? "", `it is some of ${known.join(",")}`);
  return known.filter((name) => wanted.includes(name));
}

/** The things whose names are written so, in their own order; all of them without a name. @throws {ClusterFault} for an unknown name */
export function namedOf<T extends { readonly name: string }>(
  variable: string,
  text: string | undefined,
  all: readonly T[],
): T[] {
  const chosen = someOf(
    variable,
    text,
    all.map(({ name }) => name),
  );
  return all.filter(({ name }) => chosen.includes(name));
}
