// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { Sync, type SyncPage } from "#proto/gen/messages.ts";
import { type Refusal, type Session, sendReply } from "../session/session.ts";
import type { InboxPage, InboxRequest, Store } from "../store/store.ts";
import type { AckBuffer } from "./acks.ts";
import type { EpochWatch } from "./epoch-watch.ts";
import { type GapLimits, gapPolicy } from "./gap.ts";
import { SyncPageWriter } from "./page-bytes.ts";
import { bounded, PAGE_BYTES, PAGE_EVENTS } from "./page-limits.ts";
import { ReadAhead, type ReadPage } from "./read-ahead.ts";
import type { ReadDesk } from "./read-desk.ts";

/** What {@link PullHandler} needs. */
export interface PullPorts {
  store: Pick<Store, "readInboxInto">;
  acks: Pick<AckBuffer, "note">;
  epochs: Pick<EpochWatch, "saw">;
  desk: ReadDesk;
  clock: Clock;
  gap: GapLimits;
}

/** A page as WELCOME carries it. */
export function pageOf(page: InboxPage): SyncPage {
  const { epoch: inboxEpoch, events, nextCursor, head, more, isGapTooLong: gapTooLong } = page;
  return { inboxEpoch, events, nextCursor, head, more, gapTooLong };
}

/** SYNC: one page of the inbox behind the cursor, which is acknowledged by asking. */
export class PullHandler {
  readonly #ports: PullPorts;
  readonly #ahead: ReadAhead;

  constructor(ports: PullPorts) {
    this.#ports = ports;
    this.#ahead = new ReadAhead((request) => this.#read(request));
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const request = { session, rid, kind: "sync" } as const;
    const sync = this.#ports.desk.parse(request, body, Sync, "Sync");
    if (!sync) return;
    if (!Number.isSafeInteger(sync.cursor) || sync.cursor < 0)
      this.#ports.desk.refuse(request, cursorInvalid("the cursor is no inbox seq"), "refused");
    else this.#ports.desk.enter(request, () => this.#pull(session, rid, sync));
  }

  /** The session is closed. */
  closed(session: Session): void {
    this.#ahead.forget(session);
  }

  async #pull(session: Session, rid: number, sync: Sync): Promise<Refusal | undefined> {
    const { cursor, limit, limitBytes, canSnapshot } = sync;
    const { acks, clock, gap, desk, epochs } = this.#ports;
    const request: InboxRequest = {
      userId: session.userId,
      cursor,
      epoch: sync.inboxEpoch,
      limit: bounded(limit, PAGE_EVENTS),
      limitBytes: bounded(limitBytes, PAGE_BYTES),
      gap: canSnapshot ? gapPolicy(gap, clock.wallMs()) : undefined,
    };
    const page = (await this.#ahead.take(session, request)) ?? (await this.#read(request));
    const { epoch, head, nextCursor, more, isGapTooLong } = page.end;
    epochs.saw(epoch);
    if (sync.inboxEpoch !== epoch && (sync.inboxEpoch !== "" || cursor > 0))
      return cursorInvalid("the cursor is of another inbox epoch");
    if (cursor > head) return cursorInvalid("the cursor is ahead of the inbox head");
    acks.note(session, cursor);
    // Before the answer: PostgreSQL reads while the rest of the way carries it.
    if (more && !isGapTooLong && desk.hasLeisure)
      this.#ahead.begin(session, { ...request, cursor: nextCursor }, page.events);
    sendReply(session, rid, Command.SYNC_PAGE, page.body, nextCursor);
    return undefined;
  }

  async #read(request: InboxRequest): Promise<ReadPage> {
    let writer: SyncPageWriter | undefined;
    const end = await this.#ports.store.readInboxInto(request, (epoch, bytes) => {
      writer = new SyncPageWriter(epoch, bytes);
      return writer;
    });
    writer ??= new SyncPageWriter(end.epoch, 0);
    return { end, events: writer.count, body: writer.finish(end) };
  }
}

export function cursorInvalid(problem: string): Refusal {
  return { code: ErrorCode.CURSOR_INVALID, reason: `${problem}: drop it and SYNC from 0 with the epoch of WELCOME` };
}
