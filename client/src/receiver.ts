// SPDX-License-Identifier: Apache-2.0
import { Acknowledger } from "./acknowledger.ts";
import {
  type ErrorInfo,
  type Event,
  type Hello,
  PushAck,
  Snapshot,
  SnapshotPage,
  Sync,
  type SyncPage,
  type Welcome,
} from "./codec.ts";
import { Command, ErrorCode } from "./codes.ts";
import { SnapshotJoin } from "./conversations.ts";
import { InboxMessage, type Message, type SnapshotNotice } from "./events.ts";
import { Inbox } from "./inbox.ts";
import { MessageStream } from "./message-stream.ts";
import type { Settings } from "./options.ts";
import { Puller } from "./puller.ts";
import { Shown } from "./shown.ts";
import type { StoredCursor } from "./store.ts";

/** What a {@link Receiver} asks of its client. */
export interface ReceiverOwner {
  onMessage(message: Message): void;
  /** Is this event a message that still waits in the outbox? Then it is acknowledged by this. */
  claim(event: Event): boolean;
  /** Writes a frame; false when there is no connection. */
  write(cmd: number, body: Uint8Array, rid?: number): boolean;
  nextRid(): number;
  /** Asks until there is an answer; rejects when it is refused or the client closes. */
  ask(cmd: number, body: Uint8Array): Promise<Uint8Array>;
  onSnapshot(page: SnapshotNotice): void;
  /** The cursor does not fit the server's inbox any more: log in again to learn where to begin. */
  onCursorInvalid(): void;
  onStoreError(error: unknown): void;
}

/** Events kept beyond a hole. */
const EARLY_LIMIT = 1_000;
/** Farther behind than a default page, it asks for the largest ones. */
const LARGE_PAGE = { limit: 1_000, limitBytes: 240 * 1024 } as const;
const FAR_BEHIND = 200;

/** The receiving half: applies the inbox in order, pulls what is missing, keeps and acknowledges the cursor. */
export class Receiver {
  readonly #owner: ReceiverOwner;
  readonly #streamLimit: number;
  readonly #canSnapshot: boolean;
  readonly #shown = new Shown();
  /** Being taken; nothing is pulled meanwhile. */
  #snapshot: SnapshotJoin | undefined;
  readonly #inbox: Inbox;
  readonly #puller: Puller;
  readonly #acks: Acknowledger;
  readonly #streams = new Set<MessageStream>();
  #isStopped = true;
  /** A slow consumer made it refuse events, which must be pulled once there is room. */
  #isStalled = false;
  #received = 0;
  #pulls = 0;

  constructor(owner: ReceiverOwner, settings: Settings) {
    this.#owner = owner;
    this.#streamLimit = settings.streamLimit;
    this.#canSnapshot = settings.snapshot;
    const deliver = (event: Event): void => this.#deliver(event);
    const claim = (event: Event): boolean => owner.claim(event);
    this.#inbox = new Inbox({ deliver, claim, hasRoom: () => this.#hasRoom() }, EARLY_LIMIT);
    this.#puller = new Puller({ sync: () => this.#sync(), needsPull: () => this.#isIncomplete() }, settings);
    this.#acks = new Acknowledger(
      {
        position: () => this.#position(),
        acknowledge: (inboxSeq) => owner.write(Command.PUSH_ACK, PushAck.encode({ inboxSeq })),
        onStoreError: (error) => owner.onStoreError(error),
      },
      settings,
    );
  }

  get userId(): string {
    return this.#inbox.userId;
  }

  /** Messages handed to the application. */
  get received(): number {
    return this.#received;
  }

  /** SYNCs written. */
  get pulls(): number {
    return this.#pulls;
  }

  /** The part of HELLO that says where the inbox is. */
  resumeFrom(): Pick<Hello, "inboxEpoch" | "inboxCursor"> {
    return this.#inbox.resumeFrom();
  }

  start(stored: StoredCursor | undefined): void {
    this.#isStopped = false;
    // Loops of an earlier life: they may still read what they have, and are given nothing more.
    for (const stream of this.#streams) if (stream.isEnded) this.#streams.delete(stream);
    if (stored !== undefined) this.#inbox.restore(stored);
  }

  /** A login was answered; its head follows ({@link headMoved}). `onReset` is called before any message when the inbox begins anew. */
  connected(welcome: Welcome, onReset: () => void): void {
    this.#puller.reset();
    if (this.#inbox.userId !== welcome.userId) this.#shown.clear();
    if (this.#inbox.welcome(welcome)) {
      this.#snapshot = undefined;
      onReset();
    }
    const { firstPage } = welcome;
    if (firstPage?.gapTooLong === true) this.#beginSnapshot();
    else if (firstPage !== null) this.#apply(() => this.#inbox.firstPage(firstPage));
    this.#acks.connected();
  }

  disconnected(): void {
    this.#puller.reset();
  }

  pushed(events: readonly Event[]): void {
    this.#apply(() => this.#inbox.offer(events));
  }

  /** An own message was stored at this position. */
  ownStored(inboxSeq: number): void {
    this.#apply(() => this.#inbox.fill(inboxSeq));
  }

  /** The server named its head, unasked or in PONG. */
  headMoved(head: number): void {
    this.#inbox.head(head);
    if (this.#inbox.isBehind) this.#puller.now();
  }

  paged(rid: number, page: SyncPage): void {
    if (page.gapTooLong) {
      this.#puller.answered(true);
      this.#beginSnapshot();
      return;
    }
    const before = this.#inbox.cursor;
    let isOfThisInbox = true;
    this.#apply(() => {
      isOfThisInbox = this.#inbox.page(page);
    });
    if (!isOfThisInbox) {
      this.#begin();
      return;
    }
    if (!this.#puller.expects(rid)) return;
    this.#puller.answered(this.#inbox.cursor > before || !page.more || this.#isStalled);
    if (page.more && this.#inbox.cursor > before) this.#puller.now();
    else if (this.#isIncomplete()) this.#puller.soon();
  }

  /** Takes the refusal of a SYNC; false when `rid` is none of this half. */
  refused(rid: number, info: ErrorInfo): boolean {
    if (!this.#puller.expects(rid)) return false;
    if (info.code === ErrorCode.CURSOR_INVALID) this.#begin();
    else this.#puller.refused(info.retryAfterMs);
    return true;
  }

  /** The server lost track of this connection's requests. */
  retry(retryAfterMs: number): void {
    this.#puller.refused(retryAfterMs);
    this.#acks.connected();
  }

  /** Acknowledges now, to share the packet with what is written next. */
  flush(): void {
    this.#acks.flush();
  }

  messages(): MessageStream {
    const stream = new MessageStream({
      onConsumed: () => this.#consumed(),
      onEnd: (ended) => {
        this.#streams.delete(ended);
        this.#consumed();
      },
    });
    this.#streams.add(stream);
    return stream;
  }

  /** Takes and hands out nothing more; loops end, by throwing when there is an error. */
  async stop(error?: unknown): Promise<void> {
    this.#isStopped = true;
    this.#isStalled = false;
    this.#snapshot = undefined;
    this.#puller.reset();
    for (const stream of this.#streams) stream.finish(error);
    await this.#acks.close();
  }

  #apply(change: () => void): void {
    const before = this.#inbox.cursor;
    change();
    const count = this.#inbox.cursor - before;
    if (count > 0) this.#acks.applied(count);
    if (this.#isIncomplete()) this.#puller.soon();
  }

  #deliver(event: Event): void {
    if (this.#shown.isRepeat(event)) return;
    const message = new InboxMessage(event, this.#inbox.userId);
    this.#received++;
    for (const stream of this.#streams) stream.push(message);
    this.#owner.onMessage(message);
  }

  #hasRoom(): boolean {
    if (this.#isStopped) return false;
    for (const stream of this.#streams) if (stream.length >= this.#streamLimit) this.#isStalled = true;
    return !this.#isStalled;
  }

  #isIncomplete(): boolean {
    const isIdle = this.#isStopped || this.#isStalled || this.#snapshot !== undefined;
    return !isIdle && (this.#inbox.hasHole || this.#inbox.isBehind);
  }

  #consumed(): void {
    this.#acks.applied(1);
    if (!this.#isStalled) return;
    for (const stream of this.#streams) if (stream.length > this.#streamLimit / 2) return;
    this.#isStalled = false;
    this.#apply(() => this.#inbox.offer([]));
    if (this.#inbox.isBehind) this.#puller.now();
  }

  #sync(): number | undefined {
    if (!this.#isIncomplete()) return undefined;
    const rid = this.#owner.nextRid();
    const { epoch: inboxEpoch, cursor, behind } = this.#inbox;
    const page = behind > FAR_BEHIND ? LARGE_PAGE : {};
    const body = Sync.encode({ inboxEpoch, cursor, ...page, canSnapshot: this.#canSnapshot });
    if (!this.#owner.write(Command.SYNC, body, rid)) return undefined;
    this.#pulls++;
    return rid;
  }

  /** Everything from the start, by a fresh login. */
  #begin(): void {
    this.#snapshot = undefined;
    this.#inbox.forget();
    this.#puller.reset();
    this.#owner.onCursorInvalid();
  }

  #beginSnapshot(): void {
    if (this.#snapshot !== undefined) return;
    const join = new SnapshotJoin();
    this.#snapshot = join;
    // It handles its faults.
    void this.#takeSnapshot(join);
  }

  /** Page after page; then the cursor jumps to where the first one was read. A later inbox makes it end early. */
  async #takeSnapshot(join: SnapshotJoin): Promise<void> {
    const { cursor: from } = this.#inbox;
    for (let isLast = false; !isLast; ) {
      const request = Snapshot.encode(join.request(this.#inbox.epoch));
      let page: SnapshotPage;
      try {
        page = SnapshotPage.decode(await this.#owner.ask(Command.SNAPSHOT, request));
      } catch {
        // Refused: of another epoch by now. Or closed, and nothing is to be done.
        if (this.#snapshot === join) this.#begin();
        return;
      }
      if (this.#snapshot !== join) return;
      const { isFirst } = join;
      const added = join.add(page, this.#inbox.userId);
      ({ isLast } = added);
      this.#owner.onSnapshot({ ...added, isFirst, from, to: join.head });
      // A listener may have closed the client.
      if (this.#snapshot !== join) return;
    }
    this.#snapshot = undefined;
    this.#apply(() => this.#inbox.jump(join.head));
    if (this.#inbox.isBehind) this.#puller.now();
  }

  /** What may be saved: the cursor, less what a loop has not finished with. */
  #position(): StoredCursor {
    const { userId, epoch, cursor } = this.#inbox;
    let done = cursor;
    for (const { oldestSeq } of this.#streams) if (oldestSeq !== undefined) done = Math.min(done, oldestSeq - 1);
    return { userId, epoch, cursor: done };
  }
}
