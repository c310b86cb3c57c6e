// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { bigintArray, intArray, textArray } from "./binary-array.ts";
import * as sql from "./conversation-statements.ts";
import {
  type Contact,
  type ContactChanges,
  type ContactList,
  type ContactPage,
  type ConversationStore,
  MAX_CHANGES,
  MAX_PINNED,
  type MemberRead,
  type MembersAsk,
  type StateChange,
  type StateResult,
} from "./conversation-store.ts";
import type { PostgresPool, Row, Statement, Value } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";
import { eventBytes, type StoredEvent } from "./store.ts";

/** "Leave it as it is." */
const KEEP = -1;
const MAX_SEQ = Number.MAX_SAFE_INTEGER;
/** Of pointers, for one page. */
const MAX_WINDOWS = 5;
const flag = (value: boolean | undefined): number => (value === undefined ? KEEP : Number(value));

/** First row of an answer of contacts. */
interface Header {
  readonly epoch: string;
  readonly version: number;
  readonly head: number;
  /** Where it came to; see the statements. */
  readonly position: number;
}

interface Found {
  readonly header: Header;
  readonly contacts: Contact[];
}

/** {@link ConversationStore} on PostgreSQL. */
export class PostgresConversations implements ConversationStore {
  readonly #pool: Pick<PostgresPool, "run">;

  constructor(pool: Pick<PostgresPool, "run">) {
    this.#pool = pool;
  }

  async change(changes: readonly StateChange[]): Promise<StateResult[]> {
    if (changes.length === 0) return [];
    if (changes.length > MAX_CHANGES) throw new ImError(ErrorCode.INTERNAL, `more than ${MAX_CHANGES} changes at once`);
    const rows = await this.#pool.run(sql.CHANGE_STATES, [
      textArray(changes.map(({ userId }) => userId)),
      textArray(changes.map(({ conversationId }) => conversationId)),
      bigintArray(changes.map(({ readSeq = KEEP }) => readSeq)),
      bigintArray(changes.map(({ deletedToSeq = KEEP }) => deletedToSeq)),
      intArray(changes.map(({ pinned }) => flag(pinned))),
      intArray(changes.map(({ archived }) => flag(archived))),
      bigintArray(changes.map(({ mutedUntilMs = KEEP }) => mutedUntilMs)),
      MAX_PINNED,
    ]);
    return changes.map((change, index) => toResult(change, rows[index]));
  }

  async list({ userId, before, limit, limitBytes }: ContactList): Promise<ContactPage> {
    const isFirst = before === 0;
    // The pinned ones first: what changes between the two is told as a change of the version that comes with them.
    const pinned = isFirst ? await this.#read(sql.PINNED_CONTACTS, userId, limitBytes, MAX_PINNED) : undefined;
    const found = await this.#readList(userId, isFirst ? MAX_SEQ : before, Math.max(1, limit), limitBytes);
    const { epoch, version, head } = (pinned ?? found).header;
    const contacts = firstById([...(pinned?.contacts ?? []), ...found.contacts]);
    return { epoch, contacts, version, inboxSeq: head, nextBefore: found.header.position, more: false };
  }

  async changes({ userId, sinceVersion, sinceInboxSeq, limit, limitBytes }: ContactChanges): Promise<ContactPage> {
    const most = Math.max(1, limit);
    const changed = await this.#read(sql.CHANGED_CONTACTS, userId, limitBytes, sinceVersion, most);
    const { epoch, position, version: newest } = changed.header;
    if (position > 0) {
      const page = { epoch, contacts: changed.contacts, version: position, inboxSeq: sinceInboxSeq };
      return { ...page, nextBefore: 0, more: true };
    }
    const active = await this.#read(sql.ACTIVE_CONTACTS, userId, limitBytes, sinceInboxSeq, most);
    const isWhole = active.header.position === 0;
    const large = isWhole ? (await this.#read(sql.LARGE_CONTACTS, userId, limitBytes)).contacts : [];
    const contacts = byId([...changed.contacts, ...active.contacts, ...large]);
    // Of a database that was restored between the two: the client begins anew when it asks again.
    const inboxSeq = isWhole ? Math.max(sinceInboxSeq, active.header.head) : active.header.position;
    return { epoch, contacts, version: Math.max(sinceVersion, newest), inboxSeq, nextBefore: 0, more: !isWhole };
  }

  async find(userId: string, conversationIds: readonly string[], limitBytes: number): Promise<ContactPage> {
    const { header, contacts } = await this.#read(sql.FIND_CONTACTS, userId, limitBytes, textArray(conversationIds));
    const { epoch, version, head } = header;
    return { epoch, contacts, version, inboxSeq: head, nextBefore: 0, more: false };
  }

  async members(asks: readonly MembersAsk[], limit: number): Promise<(readonly string[] | undefined)[]> {
    const found = new Array<readonly string[] | undefined>(asks.length).fill(undefined);
    if (asks.length === 0) return found;
    const rows = await this.#pool.run(sql.MEMBERS, [
      textArray(asks.map(({ userId }) => userId)),
      textArray(asks.map(({ conversationId }) => conversationId)),
      limit,
    ]);
    for (const row of rows) {
      const index = number(row, 0) - 1;
      const userId = asks[index]?.userId ?? "";
      found[index] = [...new Set([userId, ...(JSON.parse(text(row, 1)) as string[])])];
    }
    return found;
  }

  async receipts(userId: string, conversationId: string, limit: number): Promise<readonly MemberRead[] | undefined> {
    const [own, ...others] = await this.#pool.run(sql.RECEIPTS, [userId, conversationId, limit]);
    if (!own) return undefined;
    return others.map((row) => ({ userId: text(row, 0), readSeq: number(row, 1) }));
  }

  /** Goes on through an inbox in which a few conversations are busy, as far as {@link MAX_WINDOWS} take it. Newest first. */
  async #readList(userId: string, before: number, limit: number, limitBytes: number): Promise<Found> {
    let found = await this.#read(sql.LIST_CONTACTS, userId, limitBytes, before, limit);
    const contacts = found.contacts.reverse();
    for (let windows = 1; windows < MAX_WINDOWS && contacts.length < limit && found.header.position > 0; windows++) {
      const shown = contacts.reduce((bytes, { lastEvent }) => bytes + (lastEvent ? eventBytes(lastEvent) : 0), 0);
      const { position } = found.header;
      found = await this.#read(sql.LIST_CONTACTS, userId, limitBytes - shown, position, limit - contacts.length);
      contacts.push(...found.contacts.reverse());
    }
    return { header: found.header, contacts };
  }

  async #read(statement: Statement, userId: string, limitBytes: number, ...values: Value[]): Promise<Found> {
    const [first, ...rows] = await this.#pool.run(statement, [userId, limitBytes, ...values]);
    const header = {
      epoch: text(first, 1),
      version: number(first, 2),
      head: number(first, 9),
      position: number(first, 10),
    };
    const ordered = rows.toSorted((a, b) => number(a, 0) - number(b, 0) || (text(a, 1) < text(b, 1) ? -1 : 1));
    return { header, contacts: ordered.map(toContact) };
  }
}

/** Each conversation once, in its first place: a large group may be in the inbox of who wrote last. */
function firstById(contacts: readonly Contact[]): Contact[] {
  const seen = new Set<string>();
  return contacts.filter(({ conversationId }) => seen.size < seen.add(conversationId).size);
}

/** Each conversation once, as it is in the last place. */
function byId(contacts: readonly Contact[]): Contact[] {
  return [...new Map(contacts.map((contact) => [contact.conversationId, contact])).values()];
}

function toContact(row: Row): Contact {
  const [conversationId, lastSeq] = [text(row, 1), number(row, 2)];
  return {
    conversationId,
    lastSeq,
    peerId: text(row, 3),
    lastAtMs: row[9] ? number(row, 9) : 0,
    lastEvent: row[8] ? toEvent(row, conversationId) : undefined,
    unread: number(row, 10),
    peerReadSeq: number(row, 11),
    state: {
      conversationId,
      readSeq: number(row, 12),
      deletedToSeq: number(row, 13),
      pinned: row[14] === "t",
      archived: row[15] === "t",
      mutedUntilMs: number(row, 16),
      version: number(row, 17),
    },
    subjectType: text(row, 19),
    subjectId: text(row, 20),
  };
}

function toEvent(row: Row, conversationId: string): StoredEvent {
  return {
    ...{ inboxSeq: 0, conversationId, convSeq: number(row, 18), messageId: text(row, 4), sender: text(row, 5) },
    ...{ clientMessageId: text(row, 6), contentType: text(row, 7), sentAtMs: number(row, 9) },
    // bytea comes as \x and hex digits.
    content: Buffer.from(text(row, 8).slice(2), "hex"),
  };
}

const OUTCOMES = ["denied", "unchanged", "changed", "too-many-pinned"] as const;

function toResult({ conversationId }: StateChange, row: Row | undefined): StateResult {
  const kind = OUTCOMES[number(row, 0)];
  if (kind === undefined) throw new ImError(ErrorCode.INTERNAL, "an unknown outcome of a change");
  if (kind === "denied" || kind === "too-many-pinned") return { kind };
  const state = {
    conversationId,
    readSeq: number(row, 3),
    deletedToSeq: number(row, 4),
    pinned: row?.[5] === "t",
    archived: row?.[6] === "t",
    mutedUntilMs: number(row, 7),
    version: number(row, 8),
  };
  const peer = row?.[1];
  return peer ? { kind, state, peer: { userId: peer, version: number(row, 2) } } : { kind, state };
}
