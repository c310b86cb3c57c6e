// SPDX-License-Identifier: Apache-2.0
import { tenantOf } from "#lib/tenant.ts";
import { Command } from "#proto/commands.ts";
import { SysPage, SysPull, type SystemMessage } from "#proto/gen/messages.ts";
import { badRequest, isSeq } from "../conversations/answers.ts";
import { Gathered } from "../gathered.ts";
import { bounded, PAGE_BYTES } from "../inbox/page-limits.ts";
import type { ReadDesk } from "../inbox/read-desk.ts";
import { type Refusal, type Session, sendReply } from "../session/session.ts";
import type { BroadcastReader, BroadcastStore, OpenPart } from "../store/broadcast-store.ts";
import type { Defer } from "../tick-batch.ts";
import { type Audiences, OLD_READER } from "./audience.ts";
import type { BroadcastBoard } from "./board.ts";
import { earlierOfDay, isWithinCap } from "./daily-cap.ts";
import type { Watermarks } from "./watermarks.ts";

const PAGE_MESSAGES = { byDefault: 20, max: 100 };
/** Of a message, besides type and content. */
const MESSAGE_BYTES = 128;
/** Looked at for one page: with lists and segments each may cost a look into the store. */
const MAX_LOOKED_AT = 200;
const MAX_BATCH = 500;
const MAX_WAITING = 20_000;

/** What {@link SysPullHandler} needs. */
export interface SysPullPorts {
  store: Pick<BroadcastStore, "readers">;
  board: Pick<BroadcastBoard, "epoch" | "after" | "nowMs">;
  audiences: Pick<Audiences, "meant" | "contentOf">;
  marks: Pick<Watermarks, "note">;
  desk: ReadDesk;
  defer: Defer;
}

/** SYS_PULL: a page of what is in force behind a position, passing over what is not for this user. */
export class SysPullHandler {
  readonly #ports: SysPullPorts;
  readonly #readers: Gathered<string, BroadcastReader>;

  constructor(ports: SysPullPorts) {
    this.#ports = ports;
    this.#readers = new Gathered({
      defer: ports.defer,
      run: async (userIds) => {
        const readers = await ports.store.readers([...new Set(userIds)]);
        return userIds.map((userId) => readers.get(userId) ?? OLD_READER);
      },
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
    });
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const { desk } = this.#ports;
    const request = { session, rid, kind: "broadcasts" } as const;
    const pull = desk.parse(request, body, SysPull, "SysPull");
    if (!pull) return;
    if (!isSeq(pull.position)) {
      desk.refuse(
        request,
        badRequest("position is no activation seq: use next_position of the page before"),
        "refused",
      );
      return;
    }
    this.#acknowledge(session, pull);
    if (rid === 0) return;
    if (pull.acknowledgeOnly) this.#replyTo(session, rid, pull);
    else desk.enter(request, () => this.#read(session, rid, pull));
  }

  /** The user has everything up to there, by this device. */
  #acknowledge({ userId }: Session, { inboxEpoch, position }: SysPull): void {
    const { board, marks } = this.#ports;
    const { head } = board.after(tenantOf(userId), position);
    // A position that nobody gave is no acknowledgement. One of a logic that looked later than this one comes again.
    if (inboxEpoch !== "" && inboxEpoch === board.epoch && position > 0 && position <= head)
      marks.note(userId, position);
  }

  #replyTo(session: Session, rid: number, { position }: SysPull): void {
    const { board } = this.#ports;
    const { head } = board.after(tenantOf(session.userId), position);
    const page = { inboxEpoch: board.epoch, nextPosition: position, head };
    sendReply(session, rid, Command.SYS_PAGE, SysPage.encode(page));
  }

  async #read(session: Session, rid: number, pull: SysPull): Promise<Refusal | undefined> {
    const { userId } = session;
    const reader = await this.#readers.call(userId);
    const { epoch } = this.#ports.board;
    const isOwn = pull.inboxEpoch !== "" && pull.inboxEpoch === epoch;
    const position = Math.max(reader.floor, isOwn ? pull.position : reader.watermark);
    const page = await this.#page({ userId, reader, position, limit: bounded(pull.limit, PAGE_MESSAGES) });
    sendReply(session, rid, Command.SYS_PAGE, SysPage.encode({ inboxEpoch: epoch, ...page }));
    return undefined;
  }

  async #page(request: { userId: string; reader: BroadcastReader; position: number; limit: number }) {
    const { board, audiences } = this.#ports;
    const { userId, reader, position, limit } = request;
    const { head, parts } = board.after(tenantOf(userId), position);
    const messages: SystemMessage[] = [];
    let bytes = 0;
    let nextPosition = position;
    for (const [looked, part] of parts.entries()) {
      if (looked === MAX_LOOKED_AT || messages.length === limit) return { messages, nextPosition, head, more: true };
      if (await this.#isFor(part, { userId, reader })) {
        bytes += MESSAGE_BYTES + part.contentBytes;
        if (messages.length > 0 && bytes > PAGE_BYTES.max) return { messages, nextPosition, head, more: true };
        messages.push(toMessage(part, await audiences.contentOf(part)));
      }
      nextPosition = part.activationSeq;
    }
    // What is over or retracted is not among the parts.
    return { messages, nextPosition: Math.max(nextPosition, head), head, more: false };
  }

  async #isFor(part: OpenPart, candidate: { userId: string; reader: BroadcastReader }): Promise<boolean> {
    const { board, audiences } = this.#ports;
    const isMeant = async (one: OpenPart): Promise<boolean> => (await audiences.meant(one, [candidate])).length > 0;
    if (part.notAfterMs <= board.nowMs || !(await isMeant(part))) return false;
    if (part.maxPerDay === 0) return true;
    const { parts } = board.after(tenantOf(candidate.userId), 0);
    return await isWithinCap(part, earlierOfDay(parts, part), isMeant);
  }
}

/** As clients see it. */
export function toMessage(part: OpenPart, content: Uint8Array): SystemMessage {
  const { activationSeq: seq, broadcastId, contentType, urgent, notBeforeMs, notAfterMs } = part;
  return { seq, broadcastId, contentType, content, urgent, notBeforeMs, notAfterMs };
}
