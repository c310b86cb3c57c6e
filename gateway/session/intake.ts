// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { DisconnectCode } from "#lib/codes.ts";
import { MAX_FRAME_BYTES, MAX_FRAME_BYTES_BEFORE_AUTH } from "#proto/commands.ts";
import { type FrameFault, FrameReader, type FrameSink } from "../wire/frame.ts";
import type { SessionPace } from "./session-pace.ts";
import type { EntryStats } from "./stats.ts";

/** Whose bytes they are. */
export interface IntakeOwner extends FrameSink {
  close(code: DisconnectCode, reason: string): void;
  /** It is not read for a while, and must be heard of by this tick. */
  onHeldBack(dueTick: number): void;
}

/** What a client sends, cut into frames: how large, how much before the login, and how fast after it. */
export class Intake {
  readonly #owner: IntakeOwner;
  readonly #stats: Pick<EntryStats, "framesIn" | "bytesIn">;
  readonly #reader: FrameReader = new FrameReader(MAX_FRAME_BYTES_BEFORE_AUTH);
  #bytesBeforeAuth = 0;
  /** Undefined before the login. */
  #pace: SessionPace | undefined;
  #isClosed = false;

  constructor(owner: IntakeOwner, stats: Pick<EntryStats, "framesIn" | "bytesIn">) {
    this.#owner = owner;
    this.#stats = stats;
  }

  /** Bytes of a stream, cut anywhere. */
  onBytes(chunk: Buffer): void {
    if (this.admit(chunk.length)) this.#onFault(this.#read(chunk, chunk.length));
  }

  /** One WebSocket message: whole frames. @param bytes as it came: in another form it was longer */
  onMessage(message: Buffer, bytes: number): void {
    if (!this.admit(bytes)) return;
    const fault = this.#read(message, bytes);
    this.#onFault(fault ?? (this.#reader.isAtBoundary ? undefined : DisconnectCode.BAD_FRAME));
  }

  /** Counts what came; false: it is closed, or was by this. */
  admit(bytes: number): boolean {
    this.#stats.bytesIn += bytes;
    if (this.#isClosed) return false;
    if (this.#pace) return true;
    this.#bytesBeforeAuth += bytes;
    if (this.#bytesBeforeAuth <= MAX_FRAME_BYTES_BEFORE_AUTH) return true;
    this.#owner.close(DisconnectCode.FRAME_TOO_LARGE, "more than 64 KiB before the login was answered");
    return false;
  }

  /** A session over its rates is not read for a while. */
  took(frames: number, bytes: number): void {
    const dueTick = this.#pace?.took(frames, bytes) ?? 0;
    if (dueTick > 0) this.#owner.onHeldBack(dueTick);
  }

  /** The login was accepted: larger frames, and the rates of a session. */
  onLogin(pace: SessionPace): void {
    this.#reader.maxFrameBytes = MAX_FRAME_BYTES;
    this.#pace = pace;
  }

  /** Reads nothing more; releases what is held, and the timer. */
  close(): void {
    this.#isClosed = true;
    this.#pace?.close();
    this.#reader.reset();
  }

  #read(chunk: Buffer, bytes: number): FrameFault {
    const { framesIn } = this.#stats;
    const fault = this.#reader.push(chunk, this.#owner);
    this.took(this.#stats.framesIn - framesIn, bytes);
    return fault;
  }

  #onFault(fault: FrameFault): void {
    if (fault === undefined || this.#isClosed) return;
    const reason = fault === DisconnectCode.FRAME_TOO_LARGE ? "frame over the limit" : "bytes that are no frame";
    this.#owner.close(fault, reason);
  }
}
