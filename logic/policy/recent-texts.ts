// SPDX-License-Identifier: Apache-2.0
import { BoundedMap } from "./bounded-map.ts";
import { type ContactKind, contactIn } from "./contacts.ts";
import type { DigitGroup } from "./digit-groups.ts";
import { fragmentOf, isPhoneAcross } from "./phone.ts";

/** Longer messages are no part of something that was cut in pieces. */
const LONGEST_PIECE = 48;

interface Piece {
  readonly text: string;
  readonly atMs: number;
  /** Undefined: it is more than digits. */
  readonly digits: readonly DigitGroup[] | undefined;
}

/** How far back one looks. */
export interface TextWindow {
  readonly messages: number;
  readonly seconds: number;
}

/** What each sender wrote last into each conversation, for contacts that are given in several messages. */
export class RecentTexts {
  readonly #pieces: BoundedMap<Piece[]>;
  readonly #keep: TextWindow;

  /** @param keep the longest window that is asked for */
  constructor(keep: TextWindow, maxKeys: number) {
    this.#keep = keep;
    this.#pieces = new BoundedMap(maxKeys);
  }

  get size(): number {
    return this.#pieces.size;
  }

  /** Which contact a text gives together with those before it in the window; what it gives alone is found elsewhere. */
  contactAcross(
    key: string,
    text: string,
    { kinds, window, nowMs }: { kinds: readonly ContactKind[]; window: TextWindow; nowMs: number },
  ): ContactKind | undefined {
    if (text.length > LONGEST_PIECE) return undefined;
    const known = this.#pieces.get(key);
    if (!known) return undefined;
    const sinceMs = nowMs - window.seconds * 1000;
    const before = known.filter(({ atMs }) => atMs >= sinceMs).slice(1 - window.messages);
    if (before.length === 0) return undefined;
    const digits = fragmentOf(text);
    if (digits && kinds.includes("phone")) {
      const fragments = [...before.flatMap((piece) => (piece.digits ? [piece.digits] : [])), digits];
      if (isPhoneAcross(fragments)) return "phone";
    }
    const others = kinds.filter((kind) => kind !== "phone" && kind !== "invite");
    if (others.length === 0) return undefined;
    return contactIn([...before.map((piece) => piece.text), text].join(" "), others);
  }

  note(key: string, text: string, nowMs: number): void {
    if (text.length > LONGEST_PIECE) return;
    const sinceMs = nowMs - this.#keep.seconds * 1000;
    const pieces = (this.#pieces.get(key) ?? []).filter(({ atMs }) => atMs >= sinceMs);
    pieces.push({ text, atMs: nowMs, digits: fragmentOf(text) });
    this.#pieces.set(key, pieces.slice(-this.#keep.messages));
  }
}
