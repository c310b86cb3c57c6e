// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { readPage } from "./page-read.ts";
import type { PostgresPool, Row } from "./postgres-pool.ts";
import * as sql from "./read-statements.ts";
import type {
  BeginPage,
  ConversationHead,
  HeadsPage,
  HeadsRequest,
  HistoryPage,
  HistoryRequest,
  InboxPage,
  InboxRequest,
  PageEnd,
  StoredEvent,
} from "./store.ts";

/** Pointers looked at for one page of heads: bounds what an inbox with few, busy conversations costs. */
const HEADS_WINDOW = 2000;
const MAX_SEQ = Number.MAX_SAFE_INTEGER;

/** Columns of a message; see read-statements.ts. */
const MESSAGE_ID = 3;
const TOTAL = 9;

/** See Store.readInbox. */
export async function readInbox(pool: PostgresPool, request: InboxRequest): Promise<InboxPage> {
  const { end, messages } = await readPage(pool, request);
  const events: StoredEvent[] = [];
  messages.visit((row) => events.push(row.toEvent()));
  return { ...end, events };
}

/** See Store.readInboxInto. */
export async function readInboxInto(pool: PostgresPool, request: InboxRequest, begin: BeginPage): Promise<PageEnd> {
  const { end, messages } = await readPage(pool, request);
  const writer = begin(end.epoch, messages.bytes);
  messages.visit((row) => writer.addRow(row));
  return end;
}

/** See Store.readHistory. */
export async function readHistory(pool: PostgresPool, request: HistoryRequest): Promise<HistoryPage | undefined> {
  const { userId, conversationId, direction, from, limitBytes } = request;
  const isForward = direction === "forward";
  const limit = Math.max(1, request.limit);
  const bounds = isForward ? [from, MAX_SEQ] : [0, from > 0 ? from : MAX_SEQ];
  const statement = isForward ? sql.READ_HISTORY_FORWARD : sql.READ_HISTORY_BACKWARD;
  const rows = await pool.run(statement, [userId, conversationId, ...bounds, limit, limitBytes]);
  if (rows.length === 0) return undefined;
  const { header, isCut, rows: found } = split(rows, limitBytes);
  const events = found.map(toEvent);
  const lastSeq = number(header, 0);
  const firstSeq = header[2] === null ? lastSeq + 1 : number(header, 2);
  if (!isForward) events.reverse();
  // With as many as asked for, the bounds tell whether there are others behind them.
  const reached = isForward ? events.at(-1)?.convSeq : events[0]?.convSeq;
  const isFull = isCut || events.length === limit;
  const hasOthers = reached !== undefined && (isForward ? reached < lastSeq : reached > firstSeq);
  return { events, lastSeq, firstSeq, more: isFull && hasOthers };
}

/** See Store.readHeads. */
export async function readHeads(pool: PostgresPool, request: HeadsRequest): Promise<HeadsPage> {
  const { userId, before, limitBytes } = request;
  const values = [userId, before > 0 ? before : MAX_SEQ, HEADS_WINDOW, Math.max(1, request.limit), limitBytes];
  const rows = await pool.run(sql.READ_HEADS, values);
  const header = rows.find((row) => row[MESSAGE_ID] === null && row[8] === null);
  if (!header) throw new ImError(ErrorCode.INTERNAL, "a page without a header");
  const heads = rows.filter((row) => row !== header).map(toHead);
  heads.sort((a, b) => b.inboxSeq - a.inboxSeq);
  return { heads, head: number(header, 0), epoch: text(header, 1), nextBefore: number(header, 2) };
}

function toHead(row: Row): ConversationHead {
  const [conversationId, convSeq, inboxSeq] = [text(row, 1), number(row, 2), number(row, 0)];
  const event = row[MESSAGE_ID] === null ? undefined : toEvent(row);
  return { conversationId, convSeq, inboxSeq, sentAtMs: number(row, 8), unread: number(row, TOTAL), event };
}

interface Page {
  header: Row;
  /** Messages within the limit in bytes. */
  rows: Row[];
  /** The limit in bytes ended it: there may be others. */
  isCut: boolean;
}

function split(found: readonly Row[], limitBytes: number): Page {
  let header: Row | undefined;
  let isCut = false;
  const rows: Row[] = [];
  for (const row of found) {
    if (row[MESSAGE_ID] === null) header = row;
    else if (rows.length > 0 && Number(row[TOTAL]) > limitBytes) isCut = true;
    else rows.push(row);
  }
  // Behind a first one that is over the limit by itself, nothing was looked at.
  isCut ||= Number(rows[0]?.[TOTAL] ?? 0) > limitBytes;
  if (!header) throw new ImError(ErrorCode.INTERNAL, "a page without a header");
  return { header, rows, isCut };
}

function toEvent(row: Row): StoredEvent {
  return {
    inboxSeq: number(row, 0),
    conversationId: text(row, 1),
    convSeq: number(row, 2),
    messageId: text(row, 3),
    sender: text(row, 4),
    clientMessageId: text(row, 5),
    contentType: text(row, 6),
    // bytea comes as \x and hex digits.
    content: Buffer.from(text(row, 7).slice(2), "hex"),
    sentAtMs: number(row, 8),
  };
}

function text(row: Row | undefined, column: number): string {
  const value = row?.[column];
  if (value === undefined || value === null) throw new ImError(ErrorCode.INTERNAL, `no column ${column} in the row`);
  return value;
}

function number(row: Row | undefined, column: number): number {
  return Number(text(row, column));
}
