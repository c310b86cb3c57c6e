// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { LoginReply } from "#proto/gen/messages.ts";
import { TICK_MS } from "./heartbeat/heartbeats.ts";
import type { LogicPort } from "./uplink-port.ts";

/** A delivery that came before the login was answered; its body is a copy. */
export interface HeldDelivery {
  seq: number;
  body: Uint8Array;
}

/** A login that logic has not answered yet. */
export interface PendingLogin {
  readonly rid: number;
  readonly logic: LogicPort;
  readonly startedMs: number;
  held: HeldDelivery[];
  heldBytes: number;
  /** A delivery did not fit: tell the client to pull. */
  hasDropped: boolean;
}

/** An authenticated connection, as far as an entry may know it. */
export interface Session {
  readonly userId: string;
  readonly slot: string;
  /**
   * Opaque to the entry; moves the session to another logic by BIND. Bytes as a Latin-1 string: a Buffer would pin
   * its 8 KiB pool slab for the life of the session. Logic may replace it.
   */
  tag: string;
  readonly pingTicks: number;
  /** Logic that has this session bound; undefined until the next command after it was lost. */
  logic: LogicPort | undefined;
  /** Requests forwarded and not answered. While above 0 the session stays with its logic, for the order of its SENDs. */
  inFlight: number;
  /** Highest inbox seq this entry heard of for this user. */
  head: number;
}

/** Life of a connection: hello -> login -> open -> draining -> closed; every state may go to closed. */
export type ConnectionState =
  | { readonly kind: "hello" }
  | { readonly kind: "login"; readonly login: PendingLogin }
  | { readonly kind: "open"; readonly session: Session }
  /** Open, and asked to move (GOAWAY). */
  | { readonly kind: "draining"; readonly session: Session }
  | { readonly kind: "closed"; readonly code: number };

export const HELLO_STATE: ConnectionState = { kind: "hello" };

/** The session that logic granted. @param defaultPingMs when logic names no interval */
export function sessionOf(logic: LogicPort, reply: LoginReply, defaultPingMs: number): Session {
  const pingMs = reply.pingIntervalMs > 0 ? reply.pingIntervalMs : defaultPingMs;
  return {
    userId: reply.userId,
    slot: reply.slot,
    tag: Buffer.from(reply.tag).toString("latin1"),
    pingTicks: Math.ceil((2 * pingMs) / TICK_MS) + 1,
    logic,
    inFlight: 0,
    head: reply.inboxHead,
  };
}

/** Bounds of what waits for a login. */
const MAX_HELD = 256;
const MAX_HELD_BYTES = 1024 * 1024;

/** Keeps a delivery until WELCOME was written; over the bounds it is dropped and the client told to pull. */
export function holdDelivery(login: PendingLogin, seq: number, body: Uint8Array): void {
  if (login.held.length >= MAX_HELD || login.heldBytes + body.length > MAX_HELD_BYTES) {
    login.hasDropped = true;
    return;
  }
  login.held.push({ seq, body: Buffer.from(body) });
  login.heldBytes += body.length;
}
