// SPDX-License-Identifier: Apache-2.0
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { Snapshot, SnapshotPage, type ConversationHead as WireHead } from "#proto/gen/messages.ts";
import { type Refusal, type Session, sendReply } from "../session/session.ts";
import type { ConversationHead, Store } from "../store/store.ts";
import type { EpochWatch } from "./epoch-watch.ts";
import { bounded, PAGE_BYTES, PAGE_HEADS } from "./page-limits.ts";
import { cursorInvalid } from "./pull.ts";
import type { ReadDesk } from "./read-desk.ts";

/** What {@link SnapshotHandler} needs. */
export interface SnapshotPorts {
  store: Pick<Store, "readHeads">;
  epochs: Pick<EpochWatch, "saw">;
  desk: ReadDesk;
}

/**
 * SNAPSHOT: the user's conversations by their last events, for a device that was away too long to be told everything.
 * Acknowledges nothing: the device does when it goes on from the head of the first page.
 */
export class SnapshotHandler {
  readonly #ports: SnapshotPorts;

  constructor(ports: SnapshotPorts) {
    this.#ports = ports;
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const { desk } = this.#ports;
    const request = { session, rid, kind: "snapshot" } as const;
    const snapshot = desk.parse(request, body, Snapshot, "Snapshot");
    if (!snapshot) return;
    if (!Number.isSafeInteger(snapshot.before) || snapshot.before < 0) {
      const reason = "before is no inbox seq: use next_before of the page before, or 0";
      desk.refuse(request, { code: ErrorCode.BAD_REQUEST, reason }, "refused");
      return;
    }
    desk.enter(request, () => this.#read(session, rid, snapshot));
  }

  async #read(session: Session, rid: number, snapshot: Snapshot): Promise<Refusal | undefined> {
    const page = await this.#ports.store.readHeads({
      userId: session.userId,
      before: snapshot.before,
      limit: bounded(snapshot.limit, PAGE_HEADS),
      limitBytes: bounded(snapshot.limitBytes, PAGE_BYTES),
    });
    this.#ports.epochs.saw(page.epoch);
    if (snapshot.inboxEpoch !== "" && snapshot.inboxEpoch !== page.epoch)
      return cursorInvalid("the snapshot is of another inbox epoch");
    const { head, nextBefore, epoch: inboxEpoch } = page;
    const reply = SnapshotPage.encode({ inboxEpoch, heads: page.heads.map(toWire), head, nextBefore });
    sendReply(session, rid, Command.SNAPSHOT_PAGE, reply);
    return undefined;
  }
}

function toWire(head: ConversationHead): WireHead {
  const { conversationId, convSeq: lastSeq, inboxSeq, unread, event, sentAtMs: lastAtMs } = head;
  return { conversationId, lastSeq, inboxSeq, unread, lastEvent: event ?? null, lastAtMs };
}
