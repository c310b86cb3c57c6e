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
  PRESENCE_SUB: 50,
  PRESENCE: 51,
} as const;

/** Bits of `Envelope.flags`. */
export const Flag = { REPLY: 1, ERROR: 2, COMPRESSED: 4, URGENT: 8, NO_PERSIST: 16, DUPLICATE: 32 } as const;

/** Wire limits. The server may advise lower ones in WELCOME, never higher. */
export const MAX_FRAME_BYTES = 256 * 1024;
export const MAX_CONTENT_BYTES = 64 * 1024;
export const MAX_LENGTH_VARINT_BYTES = 4;

/** Answers of the server to one request (1-99); the SDK uses some for what it refuses by itself. */
export const ErrorCode = {
  /** The server does not know this command: it is older than the client. */
  UNKNOWN_COMMAND: 1,
  /** Something in the request, or an option of the client, cannot work; the message says what. */
  BAD_REQUEST: 2,
  /** Not logged in. */
  UNAUTHENTICATED: 3,
  /** Not allowed to this user, e.g. a conversation it is no member of. */
  PERMISSION_DENIED: 4,
  /** There is no such user, conversation or message. */
  NOT_FOUND: 5,
  /** The client message id holds another message already; `messageId` of the error names it when it is stored. */
  CONFLICT: 6,
  /** The content is over the limit. */
  TOO_LARGE: 7,
  /** Too much at once from this user or device. */
  RATE_LIMITED: 8,
  /** The server is overloaded, and did nothing. */
  BUSY: 9,
  /** The outcome is not known; the same id makes a resend safe. */
  RETRYABLE: 10,
  /** A fault of the server. */
  INTERNAL: 11,
  /** The place in the inbox does not exist any more; the client begins anew by itself. */
  CURSOR_INVALID: 12,
  /** The session was replaced by a newer one. */
  FENCED: 13,
  /** A rule of the shop refused the message: the error's message is for the person to read, `rule` names the rule. */
  BOUNCED: 14,
} as const;

/** Why a connection ended. 4000-4499: the client reconnects by itself; 4500-4999: only when a person asks. */
export const DisconnectCode = {
  /** The entry stops. */
  SHUTDOWN: 4000,
  /** Asked to move, or arrived at an entry that is being drained. */
  DRAINED: 4001,
  /** This client did not read for 30 s. */
  SLOW_CONSUMER: 4002,
  /** One side heard nothing from the other for too long. */
  PING_TIMEOUT: 4003,
  /** The entry was declared dead. */
  ENTRY_FENCED: 4004,
  /** No answer to the login in time. */
  LOGIN_TIMEOUT: 4005,
  /** Too many connections or too much load; the server advises a delay. */
  OVERLOADED: 4006,
  /** The entry has nobody to log in at. */
  LOGIC_UNAVAILABLE: 4007,
  /** The token ran out; the next attempt asks `getToken`. */
  TOKEN_EXPIRED: 4008,
  /** This user logged in too often on this class of devices; the server advises a delay, which grows. */
  FLAPPING: 4009,
  /** The server's database was restored: the inbox begins anew (event `reset`). */
  INBOX_RESET: 4010,
  /** Too many failed logins from this address; the server advises a delay. */
  RATE_LIMITED: 4011,
  /** Bytes that are no frame. */
  BAD_FRAME: 4500,
  /** A frame over 256 KiB. */
  FRAME_TOO_LARGE: 4501,
  /** A frame out of place, or a URL that no transport serves. */
  PROTOCOL_ERROR: 4502,
  /** No protocol version in common: the client is too old. */
  VERSION_UNSUPPORTED: 4503,
  /** Not signed by a known key, for another audience, or malformed. */
  TOKEN_INVALID: 4510,
  /** The token, or every older token of its user, was revoked: sign in again. */
  TOKEN_REVOKED: 4511,
  /** Another device took this one's place; `byDevice` names it. */
  KICKED: 4520,
  /** The same device logged in elsewhere. */
  SUPERSEDED: 4521,
  /** By `logout()`. */
  LOGGED_OUT: 4522,
  /** Closed by whoever runs the service; the reason says why. */
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
  /** The store could not load or save the cursor, or the messages on their way. */
  STORE_FAILED: 1103,
} as const;

/** A code of the table of this name. */
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];
/** A code of the table of this name. */
export type DisconnectCode = (typeof DisconnectCode)[keyof typeof DisconnectCode];
/** A code of the table of this name. */
export type ClientCode = (typeof ClientCode)[keyof typeof ClientCode];

const NAMES: ReadonlyMap<number, string> = new Map(
  [ErrorCode, DisconnectCode, ClientCode].flatMap((table) =>
    Object.entries(table).map(([name, code]): [number, string] => [code, name]),
  ),
);

/** Name of any code of the three tables, e.g. `CONFLICT`; `CODE_<n>` for one this build does not know. */
export function codeName(code: number): string {
  return NAMES.get(code) ?? `CODE_${code}`;
}

/** May a client whose connection ended with `code` reconnect without a person asking for it? */
export function mayReconnect(code: number): boolean {
  return code < 4500 || code > 4999;
}
