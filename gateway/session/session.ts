// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { tenantOf } from "#lib/tenant.ts";
import type { LoginReply } from "#proto/gen/messages.ts";
import type { LoginTry } from "./client-limits.ts";
import { TICK_MS } from "./heartbeat/heartbeats.ts";
import type { Moved } from "./moved.ts";
import { RoundTrip } from "./round-trip.ts";
import type { LogicPort } from "./uplink-port.ts";

/** A delivery that came before the login was answered; its body is a copy. */
export interface HeldDelivery {
  seq: number;
  /** See {@link Session.epochMark}. */
  epochMark: number;
  body: Uint8Array;
}

/** A login that logic has not answered yet. */
export interface PendingLogin {
  readonly rid: number;
  readonly logic: LogicPort;
  /** Counted for its address until it ends. */
  readonly attempt: LoginTry;
  readonly startedMs: number;
  held: HeldDelivery[];
  heldBytes: number;
  /** A delivery did not fit: tell the client to pull. */
  hasDropped: boolean;
}

/** An authenticated connection, as far as an entry may know it. */
export interface Session {
  readonly userId: string;
  /** Whose user it is; "" = the default one. */
  readonly tenant: string;
  readonly slot: string;
  /** Of the inbox epoch that WELCOME named: positions of another one mean other messages. 0 = not known. */
  readonly epochMark: number;
  /**
   * Opaque to the entry; moves the session to another logic by BIND. Bytes as a Latin-1 string: a Buffer would pin
   * its 8 KiB pool slab for the life of the session. Logic may replace it.
   */
  tag: string;
  /** Ticks of silence after which it is dead, with the app as it is now; see {@link setAppState}. */
  pingTicks: number;
  readonly foregroundTicks: number;
  readonly backgroundTicks: number;
  /** Logic that has this session bound; undefined until the next command after it was lost. */
  logic: LogicPort | undefined;
  /** Requests forwarded and not answered. While above 0 the session stays with its logic, for the order of its SENDs. */
  inFlight: number;
  /** Something was pushed to it since its last ACK. */
  owesAck: boolean;
  /** Highest inbox seq this entry heard of for this user. */
  head: number;
  readonly roundTrip: RoundTrip;
}

/** Life of a connection: hello -> login -> open -> draining -> closed; every state may go to closed. */
export type ConnectionState =
  | { readonly kind: "hello" }
  | { readonly kind: "login"; readonly login: PendingLogin }
  | { readonly kind: "open"; readonly session: Session }
  /** Open, and asked to move (GOAWAY). */
  | { readonly kind: "draining"; readonly session: Session; readonly moved?: Moved }
  | { readonly kind: "closed"; readonly code: number };

export const HELLO_STATE: ConnectionState = { kind: "hello" };

/** The session that logic granted. @param defaultPingMs when logic names no interval */
export function sessionOf(logic: LogicPort, reply: LoginReply, defaultPingMs: number): Session {
  const pingMs = reply.pingIntervalMs > 0 ? reply.pingIntervalMs : defaultPingMs;
  const backgroundMs = reply.backgroundPingIntervalMs > 0 ? reply.backgroundPingIntervalMs : pingMs;
  return {
    userId: reply.userId,
    tenant: tenantOf(reply.userId),
    slot: reply.slot,
    epochMark: reply.epochMark,
    tag: Buffer.from(reply.tag).toString("latin1"),
    pingTicks: silenceTicks(pingMs),
    foregroundTicks: silenceTicks(pingMs),
    backgroundTicks: silenceTicks(backgroundMs),
    logic,
    inFlight: 0,
    owesAck: false,
    head: reply.inboxHead,
    roundTrip: new RoundTrip(),
  };
}

/** Two intervals and a tick. */
function silenceTicks(intervalMs: number): number {
  return Math.ceil((2 * intervalMs) / TICK_MS) + 1;
}

const BACKGROUND = 2;

/** The client says whether a person looks at the app: another rhythm holds from now on. Anything but background is foreground. */
export function setAppState(session: Session, state: number): void {
  session.pingTicks = state === BACKGROUND ? session.backgroundTicks : session.foregroundTicks;
}

/** Bounds of what waits for a login. */
const MAX_HELD = 256;
const MAX_HELD_BYTES = 1024 * 1024;

/** Keeps a delivery until WELCOME was written; over the bounds it is dropped and the client told to pull. */
export function holdDelivery(login: PendingLogin, seq: number, body: Uint8Array, epochMark: number): void {
  if (login.held.length >= MAX_HELD || login.heldBytes + body.length > MAX_HELD_BYTES) {
    login.hasDropped = true;
    return;
  }
  login.held.push({ seq, epochMark, body: Buffer.from(body) });
  login.heldBytes += body.length;
}
