// SPDX-License-Identifier: Apache-2.0

/** Commands of the chat, which the core of the SDK does not know. A test compares both with the servers' table. */
export const ChatCommand = {
  READ: 23,
  TYPING: 24,
  SYS_PULL: 37,
  SYS_PAGE: 38,
  CONTACTS: 48,
  CONV_SET: 49,
  BLOCK: 52,
  REPORT: 53,
  GROUP: 54,
  RECALL: 20,
  EDIT: 21,
  CARD_ACTION: 28,
} as const;
