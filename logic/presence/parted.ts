// SPDX-License-Identifier: Apache-2.0

/** Begins an entry of the change log that is no user: no id has it. */
const MARK = "!";

/** An entry of the change log that says that one of two users has blocked the other. */
export function partedNote(one: string, other: string): string {
  return `${MARK}${one}${MARK}${other}`;
}

/** The two users of such an entry; undefined: it is another one. */
export function partedPair(entry: string): readonly [string, string] | undefined {
  if (!entry.startsWith(MARK)) return undefined;
  const [, one = "", other = ""] = entry.split(MARK);
  return [one, other];
}
