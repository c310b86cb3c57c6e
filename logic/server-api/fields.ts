// SPDX-License-Identifier: Apache-2.0
// Fields that several operations have.
import { MAX_CONTENT_BYTES, MAX_ID_CHARS } from "#proto/commands.ts";
import { SUBJECT_ID, SUBJECT_TYPE } from "../send/subject.ts";
import { object } from "./schema.ts";

const MAX_TIME_MS = 8_640_000_000_000_000;
const MAX_CURSOR_CHARS = 256;
/** Base64 of the most bytes. */
const MAX_CONTENT_CHARS = Math.ceil(MAX_CONTENT_BYTES / 3) * 4;

/** With `to`: what the two talk about. */
export const SUBJECT = object(
  {
    type: {
      type: "string",
      minLength: 1,
      maxLength: 32,
      pattern: SUBJECT_TYPE.source,
      description: "What kind of thing: 1 to 32 of a-z, 0-9, _, . and -",
      examples: ["item"],
    },
    id: {
      type: "string",
      minLength: 1,
      maxLength: 64,
      pattern: SUBJECT_ID.source,
      description: "Which one: 1 to 64 letters, digits and _.:@-",
      examples: ["item-42"],
    },
  },
  [],
  "Subject",
);

export const USER_ID = {
  type: "string",
  minLength: 1,
  maxLength: 64,
  pattern: "^[A-Za-z0-9_.:@-]{1,64}$",
  description: "A user, as the tokens of the shop name it: 1 to 64 letters, digits and _.:@-",
  examples: ["bob"],
} as const;

export const SERVICE_ID = {
  type: "string",
  minLength: 5,
  maxLength: 64,
  pattern: "^svc:[A-Za-z0-9_.:@-]{1,60}$",
  description: "A service account: svc: and 1 to 60 letters, digits and _.:@-. It needs no registration",
  examples: ["svc:shop"],
} as const;

/** Text that the database takes. */
export function text(description: string, maxLength: number, minLength = 0) {
  return { type: "string", minLength, maxLength, pattern: "^[^\\u0000]*$", description } as const;
}

export const CONVERSATION_ID = text("A conversation, as a message of it names it", MAX_ID_CHARS, 1);
export const MESSAGE_ID = text("A message id, or the client message id of a message that the user sent", 128, 1);

export function timeMs(description: string) {
  return { type: "integer", minimum: 0, maximum: MAX_TIME_MS, description: `${description}, ms since 1970` } as const;
}

export function count(description: string, maximum: number = Number.MAX_SAFE_INTEGER) {
  return { type: "integer", minimum: 0, maximum, description } as const;
}

export const CURSOR = {
  type: "string",
  minLength: 1,
  maxLength: MAX_CURSOR_CHARS,
  pattern: "^[A-Za-z0-9_-]{1,256}$",
  description: "nextCursor of the page before. It is opaque, and good for the same list only",
} as const;

export function limit(maximum: number) {
  return {
    type: "integer",
    minimum: 1,
    maximum,
    description: `Most items of the page, ${maximum} by default`,
  } as const;
}

export const NEXT_CURSOR = { ...CURSOR, description: "Of the next page; left out on the last one" } as const;

export const CONTENT_TYPE = {
  type: "string",
  minLength: 1,
  maxLength: 64,
  pattern: "^(?!im/)[!-~]{1,64}$",
  description: "How clients read the content. Types that begin with im/ are the server's own",
  examples: ["text/plain"],
} as const;

export const CONTENT = text("The content, at most 64 KiB when it is bytes", MAX_CONTENT_CHARS);

export const ENCODING = {
  type: "string",
  enum: ["utf8", "base64"],
  description: "What content is: text, or bytes in base64. utf8 by default",
} as const;

export const SENT = object(
  {
    messageId: { type: "string", maxLength: 36, description: "Of the message, in the whole cluster" },
    conversationId: { ...CONVERSATION_ID, description: "Where it is" },
    conversationSeq: count("Its position there, from 1, without gaps"),
    sentAtMs: timeMs("When the server took it"),
  },
  [],
  "SentMessage",
);

export const DEVICE = object(
  {
    deviceId: { type: "string", description: "As the app names itself" },
    deviceName: { type: "string", description: "For people; may be empty" },
    platform: { type: "string", description: "Such as ios, android, web" },
    online: { type: "boolean", description: "Whether it is connected now" },
    background: { type: "boolean", description: "Whether the app said that nobody looks at it" },
    slot: { type: "string", description: "The slot that its session has; empty when it is not online" },
    entry: { type: "string", description: "The entry process that holds its connection; empty when it is not online" },
    lastSeenMs: timeMs("When it was last there"),
    ackedSeq: count("Up to where in the user's inbox it has acknowledged"),
  },
  [],
  "Device",
);
