// SPDX-License-Identifier: Apache-2.0

/** Client commands (`Envelope.cmd`). 1-15 session, 16-31 messages, 32-47 sync, 48-63 state, 64 rpc, 128-255 tenants. */
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
  READ: 23,
  TYPING: 24,
  RECALL: 20,
  EDIT: 21,
  CARD_ACTION: 28,
  SYNC: 32,
  SYNC_PAGE: 33,
  HISTORY: 34,
  HISTORY_PAGE: 35,
  SNAPSHOT: 36,
  SYS_PULL: 37,
  SYS_PAGE: 38,
  SNAPSHOT_PAGE: 39,
  CONTACTS: 48,
  CONV_SET: 49,
  PRESENCE_SUB: 50,
  PRESENCE: 51,
  BLOCK: 52,
  REPORT: 53,
  GROUP: 54,
} as const;
export type Command = (typeof Command)[keyof typeof Command];

/** Bits of `Envelope.flags`. */
export const Flag = { REPLY: 1, ERROR: 2, COMPRESSED: 4, URGENT: 8, NO_PERSIST: 16, DUPLICATE: 32 } as const;

/** Wire limits. A peer may advise lower ones in WELCOME, never higher. */
export const MAX_FRAME_BYTES = 256 * 1024;
export const MAX_FRAME_BYTES_BEFORE_AUTH = 64 * 1024;
export const MAX_CONTENT_BYTES = 64 * 1024;
/** Characters of a client message id, a conversation id or a user id. */
export const MAX_ID_CHARS = 64;
export const MAX_LENGTH_VARINT_BYTES = 4;
