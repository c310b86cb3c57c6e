// SPDX-License-Identifier: Apache-2.0

/** Before the first `connect()`. */
export interface IdleState {
  /** Tells the states apart. */
  readonly kind: "idle";
}

/** Until the first login. */
export interface ConnectingState {
  /** Tells the states apart. */
  readonly kind: "connecting";
  /** The attempt under way or next, from 1. */
  readonly attempt: number;
  /** `DisconnectCode`, `ErrorCode` or `ClientCode` of the last failure; 0 before the first. */
  readonly code: number;
  /** Why the last attempt failed, for logs. */
  readonly reason: string;
}

/** Logged in. */
export interface OpenState {
  /** Tells the states apart. */
  readonly kind: "open";
  /** From the token. */
  readonly userId: string;
  /** Of this login, for logs. */
  readonly sessionId: string;
  /** Name of the entry that holds the connection, for people. */
  readonly entryId: string;
}

/** The connection was lost; the client tries again by itself. */
export interface ReconnectingState {
  /** Tells the states apart. */
  readonly kind: "reconnecting";
  /** Attempts since the connection was lost, from 1. */
  readonly attempt: number;
  /** `DisconnectCode`, `ErrorCode` or `ClientCode` of the last failure. */
  readonly code: number;
  /** Why, for logs. */
  readonly reason: string;
  /** Pause before this attempt, ms. */
  readonly delayMs: number;
}

/** After `close()`, `logout()` or a code that forbids reconnecting; `connect()` starts anew. */
export interface ClosedState {
  /** Tells the states apart. */
  readonly kind: "closed";
  /** `ClientCode.CLOSED` after `close()`, else why it ended. */
  readonly code: number;
  /** For people. */
  readonly reason: string;
  /** With KICKED: name of the device that took the place. Else empty. */
  readonly byDevice: string;
}

/**
 * Where a client is. `idle` until `connect()`; `connecting` until the first login; `open` while logged in;
 * `reconnecting` while it tries again by itself; `closed` after `close()` or a code that forbids reconnecting.
 */
export type ClientState = IdleState | ConnectingState | OpenState | ReconnectingState | ClosedState;
