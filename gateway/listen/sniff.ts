// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { cut } from "../session/cut.ts";
import type { HeartbeatItem } from "../session/heartbeat/heartbeats.ts";

/** What a client speaks, by its first bytes. */
export type Protocol = "frames" | "http";

const isUpperCase = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x41 && byte <= 0x5a;

/**
 * HTTP starts with a verb in capitals. A frame starts with its length, which may be a capital too (65 to 90 bytes),
 * but goes on with the tag of `cmd` (0x08): so two bytes decide. Undefined: one more byte is needed.
 */
export function sniff(bytes: Uint8Array): Protocol | undefined {
  if (bytes.length === 0) return undefined;
  if (!isUpperCase(bytes[0])) return "frames";
  if (bytes.length === 1) return undefined;
  return isUpperCase(bytes[1]) ? "http" : "frames";
}

/** Where a socket goes when its protocol is known. */
export interface SniffTarget {
  /** @param first what was read of the socket, which goes on reading */
  onFrames(socket: Socket, acceptedTick: number, first: Buffer): void;
  /** A request for a WebSocket that needs no parser: takes it, released and reading. False: it is not one. */
  onUpgrade(socket: Socket, pending: PendingSocket, first: Buffer): boolean;
  /** What was read is given back to the socket. */
  onHttp(socket: Socket, pending: PendingSocket): void;
  /** It is no longer pending. */
  onReleased(pending: PendingSocket): void;
}

const PENDING = Symbol("pending");
type PendingOwner = Socket & { [PENDING]?: PendingSocket | undefined };

/** A socket that is no connection yet: sniffed, or speaking HTTP before an upgrade. Destroyed at its deadline. */
export class PendingSocket implements HeartbeatItem {
  place = 0;
  readonly acceptedTick: number;
  readonly #socket: PendingOwner;
  readonly #target: SniffTarget;
  #deadlineTick: number;
  #first: Buffer | undefined;

  constructor(socket: Socket, acceptedTick: number, deadlineTick: number, target: SniffTarget) {
    this.#socket = socket;
    this.acceptedTick = acceptedTick;
    this.#deadlineTick = deadlineTick;
    this.#target = target;
    this.#socket[PENDING] = this;
    socket.on("data", onData);
    socket.on("close", onClose);
    socket.on("error", onError);
  }

  dueTick(): number {
    return this.#deadlineTick;
  }

  onDue(): void {
    this.destroy();
  }

  destroy(): void {
    this.#deadlineTick = Number.POSITIVE_INFINITY;
    cut(this.#socket);
  }

  /** A later deadline. */
  extend(deadlineTick: number): void {
    if (this.#deadlineTick !== Number.POSITIVE_INFINITY) this.#deadlineTick = deadlineTick;
  }

  /** It became a connection, or it is gone: no deadline here any more. */
  release(): void {
    this.#deadlineTick = Number.POSITIVE_INFINITY;
    this.#socket.off("data", onData);
    this.#socket.off("close", onClose);
    this.#socket.off("error", onError);
    // Not `delete`: that would turn the socket into a dictionary, 1.5 KB for the rest of its life.
    this.#socket[PENDING] = undefined;
    this.#target.onReleased(this);
  }

  onData(chunk: Buffer): void {
    this.#first = this.#first ? Buffer.concat([this.#first, chunk]) : chunk;
    const protocol = sniff(this.#first);
    if (!protocol) return;
    const [socket, first] = [this.#socket, this.#first];
    this.#first = undefined;
    if (protocol === "frames") {
      this.release();
      this.#target.onFrames(socket, this.acceptedTick, first);
      return;
    }
    if (this.#target.onUpgrade(socket, this, first)) return;
    socket.off("data", onData);
    socket.pause();
    socket.unshift(first);
    this.#target.onHttp(socket, this);
  }
}

// Shared by all sockets: no closure per socket.
function onData(this: PendingOwner, chunk: Buffer): void {
  this[PENDING]?.onData(chunk);
}
function onClose(this: PendingOwner): void {
  this[PENDING]?.release();
}
/** A close follows; who aborts a handshake is nobody's concern. */
function onError(this: PendingOwner): void {
  this.destroy();
}
