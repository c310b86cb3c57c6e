// SPDX-License-Identifier: Apache-2.0
import { Automaton } from "./automaton.ts";
import { isLetter } from "./digit-groups.ts";
import { normalise } from "./normalise.ts";

/** What is left of a normalised text without blanks, punctuation and pictures. */
export function squeeze(text: string): string {
  let from = 0;
  let result = "";
  for (let at = 0; at < text.length; at++) {
    if (isLetter(text.charCodeAt(at))) continue;
    result += text.slice(from, at);
    from = at + 1;
  }
  return from === 0 ? text : result + text.slice(from);
}

const LATIN = /^[a-z0-9][a-z0-9 '&-]*$/;

function isLatinAt(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x30 && unit <= 0x39);
}

/**
 * Finds words of many lists at once. Latin ones count as whole words; all others also with blanks, punctuation or pictures
 * between their characters.
 */
export class WordFinder {
  readonly #latin: Automaton | undefined;
  readonly #latinWords: readonly string[];
  readonly #others: Automaton | undefined;
  readonly #owners: ReadonlyMap<string, readonly number[]>;
  readonly #otherWords: readonly string[];

  /** @param lists words; {@link find} tells lists by index */
  constructor(lists: readonly (readonly string[])[]) {
    const owners = new Map<string, number[]>();
    for (const [list, words] of lists.entries()) {
      for (const word of words) {
        const plain = normalise(word).trim();
        const key = LATIN.test(plain) ? plain : squeeze(plain);
        const known = owners.get(key);
        if (!known) owners.set(key, [list]);
        else if (!known.includes(list)) known.push(list);
      }
    }
    const all = [...owners.keys()].filter((word) => word !== "");
    this.#owners = owners;
    this.#latinWords = all.filter((word) => LATIN.test(word));
    this.#otherWords = all.filter((word) => !LATIN.test(word));
    this.#latin = this.#latinWords.length > 0 ? new Automaton(this.#latinWords) : undefined;
    this.#others = this.#otherWords.length > 0 ? new Automaton(this.#otherWords) : undefined;
  }

  /** Lists of which the normalised text holds a word. */
  find(text: string): ReadonlySet<number> {
    const found = new Set<number>();
    this.#latin?.find(text, (pattern, end) => {
      const word = this.#latinWords[pattern] ?? "";
      const start = end - word.length;
      const isWhole = !(start > 0 && isLatinAt(text, start - 1)) && !(end < text.length && isLatinAt(text, end));
      if (isWhole) this.#add(found, word);
    });
    this.#others?.find(squeeze(text), (pattern) => this.#add(found, this.#otherWords[pattern] ?? ""));
    return found;
  }

  #add(found: Set<number>, word: string): void {
    for (const list of this.#owners.get(word) ?? []) found.add(list);
  }
}
