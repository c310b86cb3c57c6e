// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { Command, Flag } from "#proto/commands.ts";
import { encodeFrame, encodeFrameOf } from "../wire/envelope.ts";

/** Where an outbox writes: a socket. */
export interface OutboxPort {
  /** False: taken, but wait for the drain before the next write. */
  write(bytes: Buffer): boolean;
  /** Bytes taken and not yet handed to the kernel. */
  readonly bufferedBytes: number;
  /** Stops and goes on reading the client's requests. */
  pause(): void;
  resume(): void;
}

/** Counters that an outbox adds to. */
export interface OutboxStats {
  framesOut: number;
  bytesOut: number;
  writes: number;
}

/** Bounds of what waits for one client. */
export const OUTBOX_MAX_FRAMES = 256;
export const OUTBOX_MAX_BYTES = 1024 * 1024;
/** Answers are still taken up to here: a client gets what it asked for, within reason. */
export const OUTBOX_HARD_MAX_BYTES = 4 * OUTBOX_MAX_BYTES;
/** Frames that may be lost are dropped beyond this, and whenever the client has not read what it was sent. */
export const EPHEMERAL_MAX_BYTES = OUTBOX_MAX_BYTES / 2;
/** Largest body of one PUSH. */
export const MAX_PUSH_BYTES = 128 * 1024;
/** Nothing was taken for so long: the client does not read. */
export const SLOW_CONSUMER_TICKS = 30;
/** Above this backlog the client's requests are not read: it reads its answers first. */
const PAUSE_READING_BYTES = 512 * 1024;
/** Largest single write, so that one client's backlog is not joined into one huge buffer. */
const MAX_WRITE_BYTES = 256 * 1024;

const EMPTY = new Uint8Array(0);

/** In place of the PUSH that collects events until the flush. */
const OPEN_PUSH = Symbol("open push");
type Slot = Buffer | typeof OPEN_PUSH;

/** Of an outbox where nothing waits: most do nearly always, and an array each would be 64 bytes. Never added to. */
const NO_SLOTS: Slot[] = [];
const NO_EVENTS: Uint8Array[] = [];

/**
 * What waits to be written to one client. Events of one tick become one PUSH, frames of one tick one write.
 * Events are views of the batch they came in, so a flush must follow in the same tick: it copies them.
 */
export class Outbox {
  #slots: Slot[] = NO_SLOTS;
  #bytes = 0;
  #events: Uint8Array[] = NO_EVENTS;
  #eventBytes = 0;
  #isBlocked = false;
  #isPaused = false;
  #isHeld = false;
  #isBacklogged = false;
  #needsPull = false;
  /** Command of an ephemeral frame that was dropped; 0 = none was. */
  #lostCmd = 0;
  #blockedTick = 0;
  readonly #port: OutboxPort;
  readonly #stats: OutboxStats;

  constructor(port: OutboxPort, stats: OutboxStats) {
    this.#port = port;
    this.#stats = stats;
  }

  /** The port said wait: nothing is written until {@link onDrain}. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Tick at which a port that has been blocked since its last write is too slow; Infinity while it is not blocked. */
  get slowTick(): number {
    return this.#isBlocked ? this.#blockedTick + SLOW_CONSUMER_TICKS : Number.POSITIVE_INFINITY;
  }

  /** So much waits that the client's requests are not read, since the last flush: it cannot be heard. Ends with a drain. */
  get isPausedByBacklog(): boolean {
    return this.#isBacklogged;
  }

  /** An event was dropped: the client must be told to pull once the way is free. */
  get needsPull(): boolean {
    return this.#needsPull;
  }

  get frames(): number {
    return this.#slots.length;
  }

  /** Bytes of complete frames and of events that wait. */
  get bytes(): number {
    return this.#bytes + this.#eventBytes;
  }

  /** Adds a frame; false, and nothing taken, over the hard limit: the client does not read. */
  add(frame: Buffer): boolean {
    if (this.bytes + frame.length > OUTBOX_HARD_MAX_BYTES) return false;
    this.#append(frame);
    this.#bytes += frame.length;
    return true;
  }

  /** Adds one `events` field of Push; false when it was dropped and {@link needsPull} was set instead. */
  addEvent(event: Uint8Array): boolean {
    const over =
      this.#needsPull ||
      (this.#isBlocked && this.#slots.length >= OUTBOX_MAX_FRAMES) ||
      this.bytes + this.#port.bufferedBytes + event.length > OUTBOX_MAX_BYTES;
    if (over) {
      this.#needsPull = true;
      return false;
    }
    if (this.#eventBytes + event.length > MAX_PUSH_BYTES) this.#seal();
    if (this.#events.length === 0) {
      this.#append(OPEN_PUSH);
      this.#events = [event];
    } else this.#events.push(event);
    this.#eventBytes += event.length;
    return true;
  }

  #append(slot: Slot): void {
    if (this.#slots.length === 0) this.#slots = [slot];
    else this.#slots.push(slot);
  }

  /**
   * Adds a frame that means something only now: under pressure the first to be dropped. A frame of the same command without a body then
   * says so when the way is free. False: it was dropped.
   */
  addEphemeral(cmd: number, flags: number, body: Uint8Array): boolean {
    if (this.#isBlocked || this.bytes + body.length > EPHEMERAL_MAX_BYTES) {
      this.#lostCmd = cmd;
      return false;
    }
    return this.add(encodeFrame(cmd, 0, flags, body));
  }

  /** As {@link addEphemeral}, with a frame that others get, too: it is not copied. */
  addShared(cmd: number, frame: Buffer): boolean {
    if (this.#isBlocked || this.bytes + frame.length > EPHEMERAL_MAX_BYTES) {
      this.#lostCmd = cmd;
      return false;
    }
    return this.add(frame);
  }

  /** The pull advice was given. */
  clearNeedsPull(): void {
    this.#needsPull = false;
  }

  /** Copies pending events to a PUSH and writes what the port takes. `nowTick` dates a blockage that begins. */
  flush(nowTick: number): void {
    this.#seal();
    if (this.#lostCmd !== 0 && !this.#isBlocked) this.#addLost();
    let written = 0;
    while (!this.#isBlocked && written < this.#slots.length) {
      const [bytes, end] = this.#join(written);
      this.#stats.framesOut += end - written;
      this.#stats.bytesOut += bytes.length;
      this.#stats.writes++;
      written = end;
      this.#bytes -= bytes.length;
      if (this.#port.write(bytes)) continue;
      this.#isBlocked = true;
      this.#blockedTick = nowTick;
    }
    if (written > 0) this.#slots = written === this.#slots.length ? NO_SLOTS : this.#slots.slice(written);
    this.#isBacklogged = this.bytes > PAUSE_READING_BYTES;
    this.#steerReading();
  }

  /** The port takes writes again; flush next. */
  onDrain(): void {
    this.#isBlocked = false;
  }

  /** Held: the client's requests are not read, for a reason of their own. */
  holdReading(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#steerReading();
  }

  #steerReading(): void {
    const shouldPause = this.#isHeld || this.#isBacklogged;
    if (shouldPause === this.#isPaused) return;
    this.#isPaused = shouldPause;
    if (shouldPause) this.#port.pause();
    else this.#port.resume();
  }

  /** Drops everything. */
  clear(): void {
    this.#slots = NO_SLOTS;
    this.#bytes = 0;
    this.#events = NO_EVENTS;
    this.#eventBytes = 0;
    this.#needsPull = false;
    this.#lostCmd = 0;
  }

  #addLost(): void {
    this.add(encodeFrame(this.#lostCmd, 0, Flag.NO_PERSIST, EMPTY));
    this.#lostCmd = 0;
  }

  /** Turns the collected events into a frame, at the place of the first of them. */
  #seal(): void {
    if (this.#events.length === 0) return;
    const frame = encodeFrameOf(Command.PUSH, 0, 0, this.#events, this.#eventBytes);
    this.#slots[this.#slots.lastIndexOf(OPEN_PUSH)] = frame;
    this.#bytes += frame.length;
    this.#events = NO_EVENTS;
    this.#eventBytes = 0;
  }

  /** Frames from `from` on as one buffer of at most MAX_WRITE_BYTES (or one larger frame), and where it ends. */
  #join(from: number): [Buffer, number] {
    const slots = this.#slots as Buffer[];
    const first = slots[from] as Buffer;
    let end = from + 1;
    let length = first.length;
    for (; end < slots.length; end++) {
      const next = (slots[end] as Buffer).length;
      if (length + next > MAX_WRITE_BYTES) break;
      length += next;
    }
    if (end === from + 1) return [first, end];
    return [Buffer.concat(slots.slice(from, end), length), end];
  }
}
