// SPDX-License-Identifier: Apache-2.0
import type { Event, SyncPage, Welcome } from "./codec.ts";
import type { StoredCursor } from "./store.ts";

/** What the inbox asks of its owner. */
export interface InboxOwner {
  /** Hands one event to the application. */
  deliver(event: Event): void;
  /** Is this event a message that this client itself sent and still waits to be acknowledged? */
  claim(event: Event): boolean;
  /** May more be delivered now? False while a consumer is far behind. */
  hasRoom(): boolean;
}

/** Position taken by an own message: counts as applied, is not delivered. */
const OWN = "own";

/**
 * The position of this device in its user's inbox: applies seq cursor + 1 only, keeps a bounded number of what
 * came early, drops what came before. Pure: no timer, no I/O.
 */
export class Inbox {
  readonly #owner: InboxOwner;
  readonly #earlyLimit: number;
  readonly #early = new Map<number, Event | typeof OWN>();
  #userId = "";
  #epoch = "";
  #cursor = 0;
  #head = 0;
  /** Cursor of the last HELLO: the page of its WELCOME begins there. */
  #asked = 0;
  /** Somebody who had a place begins anew at the next login. */
  #isForgotten = false;

  /** `earlyLimit`: events kept beyond a hole; further ones are dropped and pulled later. */
  constructor(owner: InboxOwner, earlyLimit: number) {
    this.#owner = owner;
    this.#earlyLimit = earlyLimit;
  }

  get userId(): string {
    return this.#userId;
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** Highest seq applied without a gap. */
  get cursor(): number {
    return this.#cursor;
  }

  /** How much the server has beyond what was applied. */
  get behind(): number {
    return this.#head - this.#cursor;
  }

  /** Something beyond a hole is waiting. */
  get hasHole(): boolean {
    return this.#early.size > 0;
  }

  /** The server has more than was applied. */
  get isBehind(): boolean {
    return this.#head > this.#cursor;
  }

  /** What HELLO says. */
  resumeFrom(): { inboxEpoch: string; inboxCursor: number } {
    this.#asked = this.#cursor;
    return { inboxEpoch: this.#epoch, inboxCursor: this.#cursor };
  }

  restore(stored: StoredCursor): void {
    this.#userId = stored.userId;
    this.#epoch = stored.epoch;
    this.#cursor = stored.cursor;
    this.#head = stored.cursor;
  }

  /**
   * A login was answered. When the cursor does not belong to this inbox (other epoch, other user, or HELLO's ahead of
   * the head) it starts from 0. True when it begins anew, now or by {@link forget} since the last login.
   */
  welcome(welcome: Welcome): boolean {
    const isSame = this.#epoch === welcome.inboxEpoch && this.#userId === welcome.userId;
    const isFresh = this.#epoch === "" && this.#cursor === 0;
    // What came by the old connection of a move since HELLO may be ahead of the head that WELCOME was made with.
    const mustReset = !isFresh && (!isSame || this.#asked > welcome.inboxHead);
    if (mustReset) this.forget();
    const beginsAnew = this.#isForgotten;
    this.#isForgotten = false;
    this.#userId = welcome.userId;
    this.#epoch = welcome.inboxEpoch;
    this.head(welcome.inboxHead);
    return beginsAnew;
  }

  /** Takes in the page of the WELCOME just seen, unless the inbox began anew since its HELLO. */
  firstPage(page: SyncPage): void {
    if (this.#asked <= this.#cursor) this.page(page);
  }

  /** Back to the beginning: the next HELLO or SYNC asks for everything. */
  forget(): void {
    this.#isForgotten ||= this.#epoch !== "" || this.#cursor > 0;
    this.#early.clear();
    this.#epoch = "";
    this.#cursor = 0;
    this.#head = 0;
  }

  /** The server named its head. */
  head(head: number): void {
    this.#head = Math.max(this.#head, head);
  }

  /** Pushed events. */
  offer(events: readonly Event[]): void {
    for (const event of events) {
      this.head(event.inboxSeq);
      if (event.inboxSeq <= this.#cursor || this.#early.has(event.inboxSeq)) continue;
      if (this.#owner.claim(event)) this.#keep(event.inboxSeq, OWN);
      else this.#keep(event.inboxSeq, event);
    }
    this.#advance();
  }

  /** SEND_ACK named the position of an own message. */
  fill(inboxSeq: number): void {
    if (inboxSeq <= this.#cursor) return;
    this.head(inboxSeq);
    this.#keep(inboxSeq, OWN);
    this.#advance();
  }

  /**
   * A page read from the database. It is authoritative: a position up to `nextCursor` that is in neither the page
   * nor the early ones no longer exists (retention), and is passed over. False when the page is of another epoch.
   */
  page(page: SyncPage): boolean {
    if (page.inboxEpoch !== "" && page.inboxEpoch !== this.#epoch) return false;
    const due = new Map<number, Event | typeof OWN>();
    for (const event of page.events) {
      if (event.inboxSeq <= this.#cursor) continue;
      if (this.#owner.claim(event)) this.#early.set(event.inboxSeq, OWN);
      due.set(event.inboxSeq, event);
    }
    const last = Math.max(page.nextCursor, ...due.keys());
    for (const [seq, early] of this.#early) if (seq <= last) due.set(seq, early);
    for (const [seq, event] of [...due].sort(([a], [b]) => a - b)) {
      if (event !== OWN && !this.#owner.hasRoom()) return true;
      this.#apply(seq, event);
    }
    this.#cursor = Math.max(this.#cursor, page.nextCursor);
    // The page knows better than a hint; what was pushed since is above it.
    this.#head = Math.max(page.head, this.#cursor, ...this.#early.keys());
    this.#advance();
    return true;
  }

  /** Passes over everything up to `seq`. */
  jump(seq: number): void {
    for (const early of this.#early.keys()) if (early <= seq) this.#early.delete(early);
    this.#cursor = Math.max(this.#cursor, seq);
    this.head(seq);
    this.#advance();
  }

  #keep(seq: number, event: Event | typeof OWN): void {
    // Markers of own messages are small, and losing one would show the sender its own message.
    const limit = event === OWN ? this.#earlyLimit * 16 : this.#earlyLimit;
    if (seq === this.#cursor + 1 || this.#early.size < limit) this.#early.set(seq, event);
  }

  #advance(): void {
    for (let next = this.#early.get(this.#cursor + 1); next; next = this.#early.get(this.#cursor + 1)) {
      if (next !== OWN && !this.#owner.hasRoom()) return;
      this.#apply(this.#cursor + 1, next);
    }
  }

  #apply(seq: number, event: Event | typeof OWN): void {
    this.#early.delete(seq);
    this.#cursor = seq;
    if (event !== OWN) this.#owner.deliver(event);
  }
}
