// SPDX-License-Identifier: Apache-2.0

/**
 * Disconnect codes: why a connection was closed. The range is a contract with every client:
 * 4000-4499 the client may reconnect (after the advised delay), 4500-4999 it must not by itself.
 * They fit the private range of WebSocket close codes (RFC 6455 section 7.4.2); on TCP and HTTP the same
 * number travels in an ERROR or KICK frame just before the close.
 */
export const DisconnectCode = {
  SHUTDOWN: 4000,
  DRAINED: 4001,
  SLOW_CONSUMER: 4002,
  PING_TIMEOUT: 4003,
  ENTRY_FENCED: 4004,
  LOGIN_TIMEOUT: 4005,
  OVERLOADED: 4006,
  LOGIC_UNAVAILABLE: 4007,
  /** The token ran out: reconnect with a fresh one. */
  TOKEN_EXPIRED: 4008,
  /** This user and platform class logs in too often. */
  FLAPPING: 4009,
  /** The database was restored: positions in inboxes begin anew. */
  INBOX_RESET: 4010,
  /** Too many tries from this address. */
  RATE_LIMITED: 4011,
  BAD_FRAME: 4500,
  FRAME_TOO_LARGE: 4501,
  PROTOCOL_ERROR: 4502,
  VERSION_UNSUPPORTED: 4503,
  TOKEN_INVALID: 4510,
  TOKEN_REVOKED: 4511,
  /** A newer login took this slot from another device. */
  KICKED: 4520,
  /** The same device logged in again elsewhere: this connection is its old one. */
  SUPERSEDED: 4521,
  LOGGED_OUT: 4522,
  /** Closed by whoever runs the service. */
  EVICTED: 4523,
} as const;
export type DisconnectCode = (typeof DisconnectCode)[keyof typeof DisconnectCode];

/** May a client that was closed with `code` reconnect without a person asking for it? */
export function mayReconnect(code: number): boolean {
  return code < 4500 || code > 4999;
}

const NAMES = new Map<number, string>(Object.entries(DisconnectCode).map(([name, code]) => [code, name]));

/** Lower-case name for metric labels and close reasons, e.g. `slow_consumer`. */
export function disconnectReason(code: number): string {
  return NAMES.get(code)?.toLowerCase() ?? `code_${code}`;
}
