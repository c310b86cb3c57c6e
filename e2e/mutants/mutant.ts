// SPDX-License-Identifier: Apache-2.0

/** One change of one file: `find` must occur in it exactly once. */
export interface Edit {
  file: string;
  find: string;
  replace: string;
}

/** One planted bug: product code that is wrong in a way a person could write. */
export interface Mutant {
  name: string;
  edits: readonly Edit[];
  /** Tried at every crash point of this operation first: it shows only when a process dies at one await. */
  crashPoints?: "send" | "login" | "purge" | "push" | "wheel";
  /** Tried on those seeds that are made for it: see `e2e/sim/plan.ts`. `none`: nothing in the simulation does what it spoils. */
  seeds?: "calm" | "fast way" | "restored" | "entries" | "redis" | "none";
  /** Test files that must fail when no simulated run notices; reported as such. */
  tests?: readonly string[];
}

/** A patch that does not fit the tree any more. */
export class PatchError extends Error {
  override readonly name = "PatchError";
}

/** The file's text with the edit made. @throws {PatchError} when it does not apply exactly once */
export function applyEdit(text: string, { file, find, replace }: Edit): string {
  const parts = text.split(find);
  if (parts.length === 2) return parts.join(replace);
  throw new PatchError(`${file}: ${parts.length - 1} places look like ${JSON.stringify(find.slice(0, 80))}`);
}

/** All edits of a mutant on top of each other, by file. @throws {PatchError} */
export function applyMutant(mutant: Mutant, read: (file: string) => string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const edit of mutant.edits) texts.set(edit.file, applyEdit(texts.get(edit.file) ?? read(edit.file), edit));
  return texts;
}
