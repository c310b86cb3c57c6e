// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { Sync, SyncPage } from "#proto/gen/messages.ts";
import type { Gate } from "../gate.ts";
import type { LogicMetrics } from "../metrics.ts";
import { type Refusal, type Session, sendError, sendReply } from "../session/session.ts";
import type { InboxPage, Store } from "../store/store.ts";
import type { AckBuffer } from "./acks.ts";

export const MAX_PAGE_EVENTS = 200;
export const MAX_PAGE_BYTES = 128 * 1024;

/** What {@link PullHandler} needs. */
export interface PullPorts {
  store: Pick<Store, "readInbox" | "epoch">;
  acks: Pick<AckBuffer, "note">;
  gate: Gate;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  metrics: LogicMetrics;
}

/** A wish of the client within [1, max]; 0 = the maximum. */
export function bounded(wish: number, max: number): number {
  return wish > 0 ? Math.min(wish, max) : max;
}

/** Encodes a page of the inbox of `epoch`. */
export function pageOf(epoch: string, page: InboxPage): SyncPage {
  return { inboxEpoch: epoch, events: page.events, nextCursor: page.nextCursor, head: page.head, more: page.more };
}

/** SYNC: one page of the inbox behind the cursor, which is acknowledged by asking. */
export class PullHandler {
  readonly #ports: PullPorts;

  constructor(ports: PullPorts) {
    this.#ports = ports;
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    let sync: Sync;
    try {
      sync = Sync.decode(body);
    } catch {
      // The decoder's own message means nothing to the author of a client.
      const reason = "the body is not a Sync message: encode it as in client.proto";
      this.#refuse(session, rid, { code: ErrorCode.BAD_REQUEST, reason }, "invalid");
      return;
    }
    if (!this.#isCursorOfHere(sync)) {
      this.#refuse(session, rid, cursorInvalid("the cursor is of another inbox epoch"), "cursor");
      return;
    }
    this.#ports.gate.enter(
      () => this.#pull(session, rid, sync),
      () => this.#busy(session, rid),
    );
  }

  #isCursorOfHere({ inboxEpoch, cursor }: Sync): boolean {
    if (!Number.isSafeInteger(cursor) || cursor < 0) return false;
    return inboxEpoch === this.#ports.store.epoch || (inboxEpoch === "" && cursor === 0);
  }

  async #pull(session: Session, rid: number, { cursor, limit, limitBytes }: Sync): Promise<void> {
    const { store, clock, metrics } = this.#ports;
    const startedMs = clock.nowMs();
    try {
      const page = await store.readInbox({
        userId: session.userId,
        cursor,
        limit: bounded(limit, MAX_PAGE_EVENTS),
        limitBytes: bounded(limitBytes, MAX_PAGE_BYTES),
      });
      if (cursor > page.head) {
        this.#refuse(session, rid, cursorInvalid("the cursor is ahead of the inbox head"), "cursor");
        return;
      }
      this.#ports.acks.note(session, cursor);
      sendReply(session, rid, Command.SYNC_PAGE, SyncPage.encode(pageOf(store.epoch, page)), page.nextCursor);
      metrics.pulls.inc({ result: "ok" });
    } catch (error) {
      this.#ports.onFault("pull", error);
      const reason = "the inbox could not be read: ask again after the delay";
      this.#refuse(session, rid, { code: ErrorCode.RETRYABLE, reason, ...this.#later() }, "failed");
    } finally {
      metrics.pullSeconds.observe((clock.nowMs() - startedMs) / 1000);
    }
  }

  #busy(session: Session, rid: number): void {
    const reason = "the cluster is overloaded: ask again after the delay";
    this.#refuse(session, rid, { code: ErrorCode.BUSY, reason, ...this.#later() }, "busy");
  }

  #later(): { retryable: true; retryAfterMs: number } {
    return { retryable: true, retryAfterMs: Math.round(200 * (1 + this.#ports.random())) };
  }

  #refuse(session: Session, rid: number, refusal: Refusal, result: string): void {
    this.#ports.metrics.pulls.inc({ result });
    sendError(session, rid, refusal);
  }
}

function cursorInvalid(problem: string): Refusal {
  return { code: ErrorCode.CURSOR_INVALID, reason: `${problem}: drop it and SYNC from 0 with the epoch of WELCOME` };
}
