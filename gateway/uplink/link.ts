// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { UplinkStream } from "#lib/grpc.ts";
import { AttachRequest } from "#proto/gen/messages.ts";
import { RecordBatch, type RecordInput, RecordKind, readRecords, type UplinkRecord } from "#proto/uplink/record.ts";
import type { EntryStats } from "../session/stats.ts";
import type { LogicPort } from "../session/uplink-port.ts";

/** Opens a stream; `openUplink` of lib/grpc.ts with address and TLS filled in, or a fake. */
export type OpenStream = (
  address: string,
  callbacks: { onConnected(): void; onBatch(batch: Buffer): void; onClose(error?: Error): void },
) => UplinkStream;

/** What a link tells its pool. */
export interface LinkOwner {
  onConnected(link: LogicLink): void;
  /** Any record. `record.body` is a view of the batch. */
  onRecord(link: LogicLink, record: UplinkRecord): void;
  /** Exactly once. */
  onClosed(link: LogicLink, error: Error | undefined): void;
}

/** Options of {@link LogicLink}. */
export interface LinkOptions {
  address: string;
  open: OpenStream;
  owner: LinkOwner;
  clock: Clock;
  stats: EntryStats;
}

/** Bytes that may wait for one logic; beyond, commands are answered BUSY. */
export const MAX_QUEUE_BYTES = 8 * 1024 * 1024;
const ATTACH_TIMEOUT_MS = 5000;
/**
 * Logins that come in numbers wait so long for each other, or for anything else that leaves: entry and logic would wake up for
 * each of them otherwise, which costs either as much as the login itself. One that comes alone does not wait.
 */
const LOGIN_SPACING_MS = 4;
const MAX_LOGIN_BYTES = 64 * 1024;

/** connecting -> connected -> attaching -> attached -> leaving -> closed; every state may go to closed. */
type LinkState = "connecting" | "connected" | "attaching" | "attached" | "leaving" | "closed";

/** One stream to one logic pod. All records of a turn of the event loop travel in one batch. */
export class LogicLink implements LogicPort {
  readonly address: string;
  load = 0;
  name: string;
  readonly #owner: LinkOwner;
  readonly #clock: Clock;
  readonly #stats: EntryStats;
  readonly #batch = new RecordBatch();
  readonly #stream: UplinkStream;
  #state: LinkState = "connecting";
  #wasAttached = false;
  #hasLeft = false;
  #isBlocked = false;
  #isFlushScheduled = false;
  #hasLogins = false;
  #loginsLeftMs = Number.NEGATIVE_INFINITY;
  #cancelWait: (() => void) | undefined;
  #cancelTimeout: (() => void) | undefined;

  constructor(options: LinkOptions) {
    this.address = options.address;
    this.name = options.address;
    this.#owner = options.owner;
    this.#clock = options.clock;
    this.#stats = options.stats;
    this.#stream = options.open(options.address, {
      onConnected: () => {
        if (this.#state !== "connecting") return;
        this.#state = "connected";
        this.#owner.onConnected(this);
      },
      onBatch: (batch) => readRecords(batch, this.#onRecord),
      onClose: (error) => this.#onClose(error),
    });
    this.#stream.onDrain(() => {
      this.#isBlocked = false;
      this.#flush();
    });
  }

  get isUsable(): boolean {
    return this.#state === "attached";
  }

  /** Attached, and not closed: also while it leaves. */
  get isAttached(): boolean {
    return this.#state === "attached" || this.#state === "leaving";
  }

  /** It was attached at some time. */
  get wasAttached(): boolean {
    return this.#wasAttached;
  }

  get isWaitingToAttach(): boolean {
    return this.#state === "connected";
  }

  get queueBytes(): number {
    return this.#batch.byteLength;
  }

  /** Sends ATTACH, which must be the first record; closes the link when it is not answered within 5 s. */
  attach(request: AttachRequest): void {
    this.#state = "attaching";
    this.#batch.add({ kind: RecordKind.ATTACH, body: AttachRequest.encode(request) });
    this.#scheduleFlush();
    this.#cancelTimeout = this.#clock.after(ATTACH_TIMEOUT_MS, () =>
      this.#onClose(new ImError(ErrorCode.RETRYABLE, `${this.address} did not answer ATTACH in time`)),
    );
  }

  attached(name: string): void {
    if (this.#state !== "attaching") return;
    this.#cancelTimeout?.();
    this.name = name || this.address;
    this.#state = "attached";
    this.#wasAttached = true;
  }

  /** It said that it would stop: everything it had in hand was done before it closed. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** It is about to stop: no new session goes there. */
  leaving(): void {
    this.#hasLeft = true;
    if (this.#state === "attached") this.#state = "leaving";
  }

  send(record: RecordInput): boolean {
    if (!this.isAttached || this.#batch.byteLength >= MAX_QUEUE_BYTES) return false;
    this.#add(record);
    return true;
  }

  sendControl(record: RecordInput): void {
    if (this.isAttached) this.#add(record);
  }

  /** Writes what waits, then ends the stream; the owner hears onClosed. */
  close(): void {
    if (!this.#isBlocked) this.#flush();
    this.#onClose(undefined);
  }

  #add(record: RecordInput): void {
    this.#batch.add(record);
    if (record.kind !== RecordKind.LOGIN) this.#scheduleFlush();
    else {
      this.#hasLogins = true;
      if (!this.#waitsForCompany()) this.#scheduleFlush();
    }
  }

  /** A login is in the batch: then it leaves when it has waited, or with what comes. */
  #waitsForCompany(): boolean {
    const waitMs = this.#loginsLeftMs + LOGIN_SPACING_MS - this.#clock.nowMs();
    if (waitMs <= 0 || this.#batch.byteLength > MAX_LOGIN_BYTES) return false;
    this.#cancelWait ??= this.#clock.after(waitMs, () => {
      this.#cancelWait = undefined;
      this.#flush();
    });
    return true;
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#isBlocked) return;
    this.#isFlushScheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushScheduled = false;
    if (this.#isBlocked || this.#batch.count === 0 || this.#state === "closed") return;
    if (this.#hasLogins) this.#sentLogins();
    this.#stats.uplinkBatches++;
    this.#stats.uplinkBytes += this.#batch.byteLength;
    this.#isBlocked = !this.#stream.write(this.#batch.take());
  };

  #sentLogins(): void {
    this.#hasLogins = false;
    this.#loginsLeftMs = this.#clock.nowMs();
    this.#cancelWait?.();
    this.#cancelWait = undefined;
  }

  readonly #onRecord = (record: UplinkRecord): void => {
    if (this.#state !== "closed") this.#owner.onRecord(this, record);
  };

  #onClose(error: Error | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#cancelTimeout?.();
    this.#cancelWait?.();
    this.#batch.take();
    this.#stream.close();
    this.#owner.onClosed(this, error);
  }
}
