// SPDX-License-Identifier: Apache-2.0
import { InboxMessage, type Message } from "../events.ts";
import { CHANGE_TYPE } from "./content-types.ts";
import type { ConvState, Contact as WireContact } from "./conversations-codec.ts";

/** A conversation of the user, as a list shows it. */
export interface Contact {
  /** To send into it, or to read its history. */
  readonly conversationId: string;
  /** The other user of a one-to-one conversation; empty in a group. */
  readonly peerId: string;
  /** What kind of thing the two talk about, such as `item`; empty = nothing was named, or it is a group. */
  readonly subjectType: string;
  /** Which one. */
  readonly subjectId: string;
  /** The conversation is of this subject alone. Else it is the pair's only one, and the subject is what was asked about last. */
  readonly perItem: boolean;
  /** Position of the last message. */
  readonly lastSeq: number;
  /** Server time of the last message, ms since 1970; 0 = it is older than the server keeps messages. */
  readonly lastAtMs: number;
  /** Undefined when it is older than the server keeps messages, or did not fit the page. */
  readonly lastMessage: Message | undefined;
  /** Messages of others behind what the user has read, written or deleted. Exact up to 100. */
  readonly unread: number;
  /** Everything up to here was read by the user, on any device. */
  readonly readSeq: number;
  /** In a one-to-one conversation: what the peer has read. What it wrote itself, it has read, too. */
  readonly peerReadSeq: number;
  /** Comes before the others. */
  readonly pinned: boolean;
  /** For a list of its own. */
  readonly archived: boolean;
  /** Server time, ms since 1970; 0 = not muted. */
  readonly mutedUntilMs: number;
  /** Messages up to here are not to be shown. */
  readonly deletedToSeq: number;
}

/** The conversations that are known here, by id. Pure: no I/O, no time. */
export class ContactBook {
  readonly #contacts = new Map<string, Contact>();
  #sorted: readonly Contact[] | undefined;

  /** Without those that were deleted up to their last message: pinned ones first, then by the last activity. */
  get list(): readonly Contact[] {
    this.#sorted ??= [...this.#contacts.values()].filter((contact) => !isHidden(contact)).sort(compare);
    return this.#sorted;
  }

  find(conversationId: string): Contact | undefined {
    return this.#contacts.get(conversationId);
  }

  clear(): void {
    this.#contacts.clear();
    this.#sorted = undefined;
  }

  /** What the server says of a conversation. What came by message meanwhile is newer, and stays. */
  learn(wire: WireContact, userId: string): Contact {
    const known = this.#contacts.get(wire.conversationId);
    const { conversationId, peerId, lastSeq, lastAtMs, lastEvent, unread, peerReadSeq, state } = wire;
    const { subjectType, subjectId, perItem } = wire;
    const isOlder = known !== undefined && known.lastSeq > lastSeq;
    const kept = known?.lastSeq === lastSeq ? known.lastMessage : undefined;
    const last = isOlder
      ? { lastSeq: known.lastSeq, lastAtMs: known.lastAtMs, lastMessage: known.lastMessage, unread: known.unread }
      : { lastSeq, lastAtMs, lastMessage: lastEvent ? new InboxMessage(lastEvent, userId) : kept, unread };
    const base = {
      ...EMPTY,
      ...{ conversationId, peerId, subjectType, subjectId, perItem },
      ...last,
      peerReadSeq: Math.max(peerReadSeq, known?.peerReadSeq ?? 0),
    };
    return this.#save(state ? withState(base, state) : base);
  }

  /** A message of a conversation that is known. Undefined: it is not, or has seen a later one. */
  message(message: Message): Contact | undefined {
    const known = this.#contacts.get(message.conversationId);
    const { convSeq, sentAtMs: lastAtMs, own, sender } = message;
    if (!known || convSeq <= known.lastSeq) return undefined;
    const missed = convSeq - known.lastSeq;
    // It says what became of an earlier message: nothing to be read, and nobody's last message.
    if (message.contentType === CHANGE_TYPE)
      return this.#save({ ...known, lastSeq: convSeq, unread: known.unread + missed - 1 });
    const unread = own ? 0 : known.unread + missed;
    const peerReadSeq = sender === known.peerId ? convSeq : known.peerReadSeq;
    return this.#save({ ...known, lastSeq: convSeq, lastAtMs, lastMessage: message, unread, peerReadSeq });
  }

  /** What the user keeps of it has changed. Undefined: it is not known here. */
  state(state: ConvState): Contact | undefined {
    const known = this.#contacts.get(state.conversationId);
    return known && this.#save(withState(known, state));
  }

  /** The user has asked about something. Undefined: it is not known here, or says so already. */
  subject(conversationId: string, subjectType: string, subjectId: string): Contact | undefined {
    const known = this.#contacts.get(conversationId);
    if (!known || (known.subjectType === subjectType && known.subjectId === subjectId)) return undefined;
    return this.#save({ ...known, subjectType, subjectId });
  }

  /** The user has read on. */
  read(conversationId: string, readSeq: number): Contact | undefined {
    const known = this.#contacts.get(conversationId);
    if (!known || readSeq <= known.readSeq) return undefined;
    const unread = Math.max(0, Math.min(known.unread, known.lastSeq - readSeq));
    return this.#save({ ...known, readSeq, unread });
  }

  /** The peer has read on. */
  peerRead(conversationId: string, userId: string, peerReadSeq: number): Contact | undefined {
    const known = this.#contacts.get(conversationId);
    if (!known || known.peerId !== userId || peerReadSeq <= known.peerReadSeq) return undefined;
    return this.#save({ ...known, peerReadSeq });
  }

  #save(contact: Contact): Contact {
    this.#contacts.set(contact.conversationId, contact);
    this.#sorted = undefined;
    return contact;
  }
}

/** Deleted, and nothing was written since. */
export function isHidden({ deletedToSeq, lastSeq }: Contact): boolean {
  return deletedToSeq > 0 && deletedToSeq >= lastSeq;
}

const EMPTY = { readSeq: 0, pinned: false, archived: false, mutedUntilMs: 0, deletedToSeq: 0 } as const;

function withState(contact: Contact, state: ConvState): Contact {
  const { readSeq, pinned, archived, mutedUntilMs, deletedToSeq } = state;
  const floor = Math.max(readSeq, deletedToSeq);
  const unread = Math.max(0, Math.min(contact.unread, contact.lastSeq - floor));
  const lastMessage = deletedToSeq >= contact.lastSeq ? undefined : contact.lastMessage;
  return { ...contact, readSeq, pinned, archived, mutedUntilMs, deletedToSeq, unread, lastMessage };
}

function compare(a: Contact, b: Contact): number {
  const byPin = Number(b.pinned) - Number(a.pinned);
  return byPin || b.lastAtMs - a.lastAtMs || (a.conversationId < b.conversationId ? -1 : 1);
}
