// SPDX-License-Identifier: Apache-2.0
import type { Session } from "../session/session.ts";
import type { InboxRequest, PageEnd } from "../store/store.ts";

/** Sessions that have a page waiting: bounds memory at about 8 MiB. */
const MAX_PAGES = 32;
/** One part in so many more events than the last page had. */
const MARGIN = 16;

/** A page as it goes to the client. */
export interface ReadPage {
  end: PageEnd;
  /** How many events it has. */
  events: number;
  body: Uint8Array;
}

interface Ahead {
  request: InboxRequest;
  page: Promise<ReadPage | undefined>;
}

/**
 * The page that a client is about to ask for, read while the one before travels: PostgreSQL and the rest of the way work
 * at the same time. Only a page with others behind it is of use later: its content cannot change any more.
 */
export class ReadAhead {
  readonly #pages = new Map<Session, Ahead>();
  readonly #read: (request: InboxRequest) => Promise<ReadPage>;

  constructor(read: (request: InboxRequest) => Promise<ReadPage>) {
    this.#read = read;
  }

  get size(): number {
    return this.#pages.size;
  }

  /**
   * Begins to read what a session will ask for behind a page of `lastEvents`; the oldest such page of another session
   * makes room. Where bytes ended that page, they will end this one: of 1,000 events looked up, 350 would be dropped.
   */
  begin(session: Session, request: InboxRequest, lastEvents: number): void {
    this.#pages.delete(session);
    if (this.#pages.size >= MAX_PAGES) {
      const [oldest] = this.#pages.keys();
      if (oldest) this.#pages.delete(oldest);
    }
    // A failure is found again by the request itself, which then reads.
    const limit = Math.max(1, Math.min(request.limit, lastEvents + Math.ceil(lastEvents / MARGIN)));
    this.#pages.set(session, { request, page: this.#read({ ...request, limit }).catch(() => undefined) });
  }

  /** Takes the page read for exactly this request; undefined when there is none that still holds. */
  async take(session: Session, request: InboxRequest): Promise<ReadPage | undefined> {
    const ahead = this.#pages.get(session);
    if (!ahead) return undefined;
    this.#pages.delete(session);
    const { cursor, limit, limitBytes } = ahead.request;
    if (cursor !== request.cursor || limit !== request.limit || limitBytes !== request.limitBytes) return undefined;
    const page = await ahead.page;
    return page?.end.more === true && !page.end.isGapTooLong ? page : undefined;
  }

  /** The session is closed. */
  forget(session: Session): void {
    this.#pages.delete(session);
  }
}
