// SPDX-License-Identifier: Apache-2.0
// The SDK's own copy of the wire constants: it is published alone. A test compares it with the servers' tables.

/** Client commands (`Envelope.cmd`). */
export const Command = {
  HELLO: 1,
  WELCOME: 2,
  PING: 3,
  PONG: 4,
  REAUTH: 5,
  GOAWAY: 6,
  KICK: 7,
  LOGOUT: 8,
  ERROR: 9,
  APP_STATE: 10,
  DEVICE: 11,
  SEND: 16,
  SEND_ACK: 17,
  PUSH: 18,
  PUSH_ACK: 19,
  SYNC: 32,
  SYNC_PAGE: 33,
  HISTORY: 34,
  HISTORY_PAGE: 35,
  SNAPSHOT: 36,
  SNAPSHOT_PAGE: 39,
} as const;

/** Bits of `Envelope.flags`. */
export const Flag = { REPLY: 1, ERROR: 2, COMPRESSED: 4, URGENT: 8, NO_PERSIST: 16, DUPLICATE: 32 } as const;

/** Wire limits. The server may advise lower ones in WELCOME, never higher. */
export const MAX_FRAME_BYTES = 256 * 1024;
export const MAX_CONTENT_BYTES = 64 * 1024;
export const MAX_LENGTH_VARINT_BYTES = 4;

/** Answers of the server to one request (1-99). */
export const ErrorCode = {
  UNKNOWN_COMMAND: 1,
  BAD_REQUEST: 2,
  UNAUTHENTICATED: 3,
  PERMISSION_DENIED: 4,
  NOT_FOUND: 5,
  CONFLICT: 6,
  TOO_LARGE: 7,
  RATE_LIMITED: 8,
  BUSY: 9,
  RETRYABLE: 10,
  INTERNAL: 11,
  CURSOR_INVALID: 12,
  FENCED: 13,
} as const;

/** Why a connection ended. 4000-4499: the client reconnects by itself; 4500-4999: only when a person asks. */
export const DisconnectCode = {
  SHUTDOWN: 4000,
  DRAINED: 4001,
  SLOW_CONSUMER: 4002,
  PING_TIMEOUT: 4003,
  ENTRY_FENCED: 4004,
  LOGIN_TIMEOUT: 4005,
  OVERLOADED: 4006,
  LOGIC_UNAVAILABLE: 4007,
  TOKEN_EXPIRED: 4008,
  FLAPPING: 4009,
  INBOX_RESET: 4010,
  RATE_LIMITED: 4011,
  BAD_FRAME: 4500,
  FRAME_TOO_LARGE: 4501,
  PROTOCOL_ERROR: 4502,
  VERSION_UNSUPPORTED: 4503,
  TOKEN_INVALID: 4510,
  TOKEN_REVOKED: 4511,
  KICKED: 4520,
  SUPERSEDED: 4521,
  LOGGED_OUT: 4522,
  EVICTED: 4523,
} as const;

/** Codes that only the SDK itself raises; the server never sends them. */
export const ClientCode = {
  /** `close()` was called. The WebSocket code for a normal closure. */
  CLOSED: 1000,
  /** The connection broke, or none could be made. The WebSocket code for an abnormal closure. */
  CONNECTION_LOST: 1006,
  /** The signal given to the call was aborted. */
  ABORTED: 1100,
  /** Too many messages wait for their acknowledgement. */
  OUTBOX_FULL: 1101,
  /** `getToken` failed. */
  TOKEN_UNAVAILABLE: 1102,
  /** The store could not load or save the cursor. */
  STORE_FAILED: 1103,
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];
export type DisconnectCode = (typeof DisconnectCode)[keyof typeof DisconnectCode];
export type ClientCode = (typeof ClientCode)[keyof typeof ClientCode];

const NAMES: ReadonlyMap<number, string> = new Map(
  [ErrorCode, DisconnectCode, ClientCode].flatMap((table) =>
    Object.entries(table).map(([name, code]): [number, string] => [code, name]),
  ),
);

/** Name of any code of this file, e.g. `CONFLICT`; `CODE_<n>` for one this build does not know. */
export function codeName(code: number): string {
  return NAMES.get(code) ?? `CODE_${code}`;
}

/** May a client whose connection ended with `code` reconnect without a person asking for it? */
export function mayReconnect(code: number): boolean {
  return code < 4500 || code > 4999;
}
