// SPDX-License-Identifier: Apache-2.0
import type { Contact, TypingNotice } from "../../client/src/models/index.ts";
import { type About, aboutOf } from "./about.ts";
import { bodyOf, type ChatLine, type LineBody } from "./lines.ts";

/** The conversation with the other person of the page, before it is known by its id. */
export const PARTNER = "partner";
const SERVICE = /^svc:/;
/** Lines kept of each conversation. */
const MAX_LINES = 1000;

/** A conversation in the list. */
export interface Entry {
  /** To choose it by. */
  readonly key: string;
  readonly title: string;
  readonly kind: "person" | "group" | "service";
  /** User id of the other one; empty in a group. */
  readonly peer: string;
  /** Undefined until something was said. */
  readonly conversationId: string | undefined;
  readonly last: LineBody | undefined;
  /** What the two talk about. */
  readonly about: About | undefined;
  readonly unread: number;
  readonly isSelected: boolean;
  readonly isTyping: boolean;
}

/** Where a message is. */
interface Position {
  readonly conversationId: string;
  readonly convSeq: number;
}

/** The conversations of one side and their lines; no I/O, no page. */
export class Threads {
  readonly #peer: string;
  readonly #lines = new Map<string, ChatLine[]>();
  readonly #byPosition = new Map<string, ChatLine>();
  readonly #byKey = new Map<string, ChatLine>();
  readonly #names = new Map<string, string>();
  readonly #peers = new Map<string, string>();
  readonly #subjects = new Map<string, Pick<Contact, "subjectType" | "subjectId">>();
  readonly #writers = new Map<string, Set<string>>();
  #partner: string | undefined;
  #selected: string = PARTNER;

  constructor(peer: string) {
    this.#peer = peer;
  }

  /** The conversation that is looked at. */
  get current(): Entry {
    return this.#entry(this.#selected, undefined);
  }

  select(key: string): void {
    this.#selected = key;
  }

  /** Lines of the conversation that is looked at. */
  lines(): readonly ChatLine[] {
    return this.#list(this.#selected);
  }

  /** Where what is written goes. */
  address(): { to: string } | { conversationId: string } {
    const { conversationId } = this.current;
    if (this.#selected === PARTNER || conversationId === undefined) return { to: this.#peer };
    return { conversationId };
  }

  /** A line of one's own that is not stored yet, in the conversation that is looked at. */
  add(line: ChatLine): void {
    this.#list(this.#selected).push(line);
    this.#byKey.set(line.key, line);
  }

  /** Where a line is now. True: it was not here before, and belongs to the conversation that is looked at. */
  place(line: ChatLine, { conversationId, convSeq }: Position): boolean {
    this.#byPosition.set(`${conversationId}/${convSeq}`, line);
    if (this.#byKey.has(line.key)) return false;
    this.#byKey.set(line.key, line);
    const key = this.#keyOf(conversationId);
    const list = this.#list(key);
    list.push(line);
    for (const old of list.splice(0, list.length - MAX_LINES)) this.#forget(old);
    return key === this.#selected;
  }

  /** The line at a position. */
  at({ conversationId, convSeq }: Position): ChatLine | undefined {
    return this.#byPosition.get(`${conversationId}/${convSeq}`);
  }

  find(key: string): ChatLine | undefined {
    return this.#byKey.get(key);
  }

  /** The conversation with the page's other person. Returns lines that came before this was known and are to be shown now. */
  bind(conversationId: string): readonly ChatLine[] {
    if (this.#partner !== undefined) return [];
    this.#partner = conversationId;
    const earlier = this.#lines.get(conversationId) ?? [];
    this.#lines.delete(conversationId);
    this.#list(PARTNER).unshift(...earlier);
    if (this.#selected === conversationId) this.#selected = PARTNER;
    return this.#selected === PARTNER ? earlier : [];
  }

  name(conversationId: string, name: string): void {
    if (name !== "" || !this.#names.has(conversationId)) this.#names.set(conversationId, name);
  }

  isNamed(conversationId: string): boolean {
    return this.#names.has(conversationId);
  }

  /** The peer has read so far. Returns lines that are shown in another way. */
  read(conversationId: string, readSeq: number): readonly ChatLine[] {
    const news = this.#list(this.#keyOf(conversationId)).filter(
      ({ isMine, progress, ref }) =>
        isMine && ref !== undefined && ref.convSeq <= readSeq && (progress === "stored" || progress === "delivered"),
    );
    for (const line of news) line.progress = "read";
    return news;
  }

  typing({ conversationId, userId, isTyping }: TypingNotice): void {
    const writers = this.#writers.get(conversationId) ?? new Set();
    this.#writers.set(conversationId, writers);
    if (isTyping) writers.add(userId);
    else writers.delete(userId);
  }

  /** Who writes in the conversation that is looked at. */
  writers(): readonly string[] {
    return [...(this.#writers.get(this.current.conversationId ?? "") ?? [])];
  }

  /** The list to be shown: the page's other person is always in it. */
  entries(contacts: readonly Contact[]): Entry[] {
    for (const contact of contacts) {
      this.#peers.set(contact.conversationId, contact.peerId);
      this.#subjects.set(contact.conversationId, contact);
    }
    const entries = contacts.map((contact) => this.#entry(this.#keyOf(contact.conversationId), contact));
    return entries.some(({ key }) => key === PARTNER) ? entries : [this.#entry(PARTNER, undefined), ...entries];
  }

  #entry(key: string, contact: Contact | undefined): Entry {
    const conversationId = key === PARTNER ? this.#partner : key;
    const peer = key === PARTNER ? this.#peer : (contact?.peerId ?? this.#peers.get(key) ?? "");
    const listed = contact?.lastMessage && bodyOf({ ...contact.lastMessage, ...FIRST });
    const last = this.#lastOf(key) ?? listed;
    const about = aboutOf(this.#subjects.get(conversationId ?? "") ?? NOTHING, this.#bodiesOf(key, listed));
    return {
      ...{ key, conversationId, peer, last, about, unread: contact?.unread ?? 0 },
      title: peer === "" ? this.#names.get(key) || "…" : peer.replace(SERVICE, ""),
      kind: peer === "" ? "group" : SERVICE.test(peer) ? "service" : "person",
      isSelected: key === this.#selected,
      isTyping: (this.#writers.get(conversationId ?? "")?.size ?? 0) > 0,
    };
  }

  /** What was said there, as far as it came here. */
  #bodiesOf(key: string, listed: LineBody | undefined): LineBody[] {
    const bodies = (this.#lines.get(key) ?? []).map(({ body }) => body);
    return bodies.length > 0 || !listed ? bodies : [listed];
  }

  #lastOf(key: string): LineBody | undefined {
    return this.#lines.get(key)?.at(-1)?.body;
  }

  #keyOf(conversationId: string): string {
    return conversationId === this.#partner ? PARTNER : conversationId;
  }

  #list(key: string): ChatLine[] {
    const list = this.#lines.get(key) ?? [];
    this.#lines.set(key, list);
    return list;
  }

  #forget({ key, ref }: ChatLine): void {
    this.#byKey.delete(key);
    if (ref) this.#byPosition.delete(`${ref.conversationId}/${ref.convSeq}`);
  }
}

const NOTHING = { subjectType: "", subjectId: "" } as const;
const FIRST = { version: 1, isRecalled: false } as const;
