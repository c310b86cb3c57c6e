// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { tenantOf } from "#lib/tenant.ts";
import type { Hello } from "#proto/gen/messages.ts";
import { Gate } from "../gate.ts";
import { Gathered } from "../gathered.ts";
import { type GapLimits, gapPolicy } from "../inbox/gap.ts";
import { bounded, FIRST_PAGE_BYTES, PAGE_EVENTS } from "../inbox/page-limits.ts";
import type { InboxPage, Store } from "../store/store.ts";
import type { Defer } from "../tick-batch.ts";

/** The client takes a first page that says `gap_too_long`. */
const CAP_SNAPSHOT = "snapshot";
const MAX_BATCH = 1000;
const MAX_WAITING = 10_000;
/** Pages run on the store's general connections; more would only wait there. */
const READS = { maxRunning: 32, maxWaiting: 5000, maxWaitMs: 5000 };

/** What {@link FirstPages} needs. */
export interface FirstPagePorts {
  store: Pick<Store, "inboxHeads" | "readInbox">;
  clock: Clock;
  defer: Defer;
  gap: GapLimits;
}

/** What of HELLO decides about its first page. */
export type PageWish = Pick<Hello, "inboxEpoch" | "inboxCursor" | "caps" | "firstPageBytes">;

export interface FirstPage {
  page: InboxPage;
  /** Where the page begins: the client's cursor, or 0. */
  cursor: number;
  /** The client's cursor was good. */
  resumed: boolean;
}

interface Position {
  epoch: string;
  head: number;
}

/**
 * The page inside WELCOME. Most clients that log in have missed nothing: where the inboxes of all that log in at this moment end is one
 * question, and only those that have something to read ask for it.
 */
export class FirstPages {
  readonly #ports: FirstPagePorts;
  readonly #positions: Gathered<string, Position>;
  readonly #reads: Gate;

  constructor(ports: FirstPagePorts) {
    this.#ports = ports;
    this.#positions = new Gathered({
      defer: ports.defer,
      run: (userIds) => this.#positionsOf(userIds),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
    });
    this.#reads = new Gate({ clock: ports.clock, ...READS });
  }

  /** @throws {ImError} as the store does; BUSY when too many pages are to be read */
  async read(userId: string, wish: PageWish): Promise<FirstPage> {
    const claimed = wish.inboxEpoch !== "" && Number.isSafeInteger(wish.inboxCursor) ? wish.inboxCursor : 0;
    const { epoch, head } = await this.#positions.call(userId);
    if (head === (wish.inboxEpoch === epoch ? claimed : 0)) return firstPage(emptyPage(epoch, head), head, wish);
    let page = await this.#page(userId, claimed, wish);
    let cursor = claimed;
    if (wish.inboxEpoch !== page.epoch || cursor > page.head) {
      if (cursor > 0) page = await this.#page(userId, 0, wish);
      cursor = 0;
    }
    return firstPage(page, cursor, wish);
  }

  async #positionsOf(userIds: readonly string[]): Promise<Position[]> {
    const { epoch, heads } = await this.#ports.store.inboxHeads([...new Set(userIds)]);
    return userIds.map((userId) => ({ epoch, head: heads.get(userId) ?? 0 }));
  }

  #page(userId: string, cursor: number, { caps, firstPageBytes, inboxEpoch: epoch }: PageWish): Promise<InboxPage> {
    const { store, clock, gap } = this.#ports;
    const request = {
      ...{ userId, cursor, epoch },
      limit: PAGE_EVENTS.byDefault,
      limitBytes: bounded(firstPageBytes, FIRST_PAGE_BYTES),
      gap: caps.includes(CAP_SNAPSHOT) ? gapPolicy(gap, clock.wallMs()) : undefined,
    };
    return new Promise((resolve, reject) => {
      this.#reads.enter(
        () => store.readInbox(request).then(resolve, reject),
        () => reject(new ImError(ErrorCode.BUSY, "too many first pages wait for the store")),
        tenantOf(userId),
      );
    });
  }
}

function emptyPage(epoch: string, head: number): InboxPage {
  return { events: [], nextCursor: head, head, more: false, epoch, isGapTooLong: false };
}

function firstPage(page: InboxPage, cursor: number, { inboxEpoch, inboxCursor }: PageWish): FirstPage {
  return { page, cursor, resumed: inboxEpoch === page.epoch && cursor === inboxCursor };
}
