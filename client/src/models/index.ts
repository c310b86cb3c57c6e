// SPDX-License-Identifier: Apache-2.0
// The chat beyond messages. Not part of the core: `import { ... } from "@imcluster/client/models"`.
export type { Contact } from "./contact-book.ts";
export {
  type CallOptions,
  Conversations,
  type ConversationsClient,
  type ConversationsOptions,
  type ReceiptNotice,
} from "./conversations.ts";
export {
  GROUP_EVENT_TYPE,
  type GroupChanged,
  type GroupChangeOptions,
  type GroupEvent,
  type GroupMember,
  type GroupRole,
  type GroupSummary,
  Groups,
  groupEventOf,
  type NewGroup,
} from "./groups.ts";
export { type Heard, hear } from "./hear.ts";
export type { TypingNotice } from "./typing-board.ts";
