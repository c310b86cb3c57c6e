// SPDX-License-Identifier: Apache-2.0
import { PageMessages } from "./page-messages.ts";
import { PagePointers } from "./page-pointers.ts";
import type { AskRaw, PostgresPool } from "./postgres-pool.ts";
import { READ_POINTERS, READ_RANGES } from "./read-statements.ts";
import { EVENT_OVERHEAD_BYTES, type InboxRequest, type PageEnd } from "./store.ts";

/** Contents that the first question about a page's messages brings, at most, unless the page may have more. */
const READ_BYTES = 1024 * 1024;
const ANY_BYTES = 0x7fff_ffff;
const MAX_SEQ = Number.MAX_SAFE_INTEGER;

/** A page as it was read. */
export interface ReadPage {
  end: PageEnd;
  messages: PageMessages;
}

/**
 * Reads a page of an inbox: its pointers by the user, then its messages by their conversations, from one server. Which of
 * them it has room for is known when their sizes are; contents that are large for so many events are read after that.
 * Between the questions retention may take a message: its event is passed over then; and an edit may change its size: the page
 * is cut once more.
 */
export async function readPage(
  pool: Pick<PostgresPool, "readRaw" | "readAnew" | "renewSince">,
  request: InboxRequest,
): Promise<ReadPage> {
  const askedMs = performance.now();
  const page = await pool.readRaw("read_inbox", (ask) => askPage(ask, request));
  const { head, epoch } = page.end;
  if (head >= request.cursor || (request.epoch !== undefined && request.epoch !== epoch)) return page;
  // Somebody knows more than the database. It is believed when it says so on a connection of now.
  const again = await pool.readAnew("read_inbox", (ask) => askPage(ask, request));
  // A claim alone, or a message that came meanwhile, makes us leave no connection.
  if (again.end.head >= request.cursor) pool.renewSince(askedMs);
  return again;
}

async function askPage(ask: AskRaw, request: InboxRequest): Promise<ReadPage> {
  const { userId, cursor, limitBytes, gap } = request;
  // More do not fit.
  const limit = Math.max(1, Math.min(request.limit, 1 + Math.floor(limitBytes / EVENT_OVERHEAD_BYTES)));
  const bounds = gap ? [gap.maxEvents, gap.keepEvents, gap.oldestMs] : [MAX_SEQ, MAX_SEQ, 0];
  const pointers = new PagePointers(await ask(READ_POINTERS, [userId, cursor, limit, ...bounds]));
  const messages = new PageMessages(pointers);
  if (pointers.count > 0) {
    const bytesEach = Math.floor(Math.max(READ_BYTES, limitBytes) / pointers.count);
    const all = pointers.inboxSeqs.map((_, position) => position);
    messages.add(await ask(READ_RANGES, [...pointers.ranges(all), bytesEach]));
  }
  const bare = messages.cut(limitBytes);
  if (bare.length > 0) {
    messages.add(await ask(READ_RANGES, [...pointers.ranges(bare), ANY_BYTES]));
    messages.cut(limitBytes);
  }
  return { end: endOf(pointers, messages, cursor, limit), messages };
}

/** What a page says besides its events. */
function endOf(pointers: PagePointers, messages: PageMessages, cursor: number, limit: number): PageEnd {
  const { head, epoch, isGapTooLong, count } = pointers;
  let nextCursor = cursor;
  if (messages.isCut) nextCursor = messages.lastSeq;
  else if (count === limit) nextCursor = pointers.inboxSeqs[count - 1] ?? cursor;
  // Whatever was between here and the head is gone.
  else if (!isGapTooLong) nextCursor = Math.max(cursor, head);
  return { nextCursor, head, more: nextCursor < head, epoch, isGapTooLong };
}
