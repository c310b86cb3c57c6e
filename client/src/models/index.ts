// SPDX-License-Identifier: Apache-2.0
// The chat beyond messages. Not part of the core: `import { ... } from "@imcluster/client/models"`.
export {
  type ChangeCallOptions,
  Changes,
  type ChangesClient,
  type ChangesOptions,
  type EditOutcome,
  type MessageRef,
  type PressOutcome,
} from "./changes.ts";
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
export { type LargeGap, LargeGroups, type LargeGroupsClient, type LargeGroupsOptions } from "./large-groups.ts";
export { groupByPeer, type PeerGroup } from "./peer-groups.ts";
export {
  type Appeal,
  type NewReport,
  type ReportOptions,
  type ReportReason,
  Safety,
  type SafetyCallOptions,
  type SafetyClient,
  type SafetyOptions,
} from "./safety.ts";
export {
  applyMessage,
  type Card,
  type CardButton,
  type Known,
  type KnownChange,
  NOTHING_SHOWN,
  parseCard,
  type ShownMessage,
  type ShownState,
  shownMessage,
  shownMessages,
} from "./shown-messages.ts";
export {
  type SystemMessage,
  SystemMessages,
  type SystemMessagesClient,
  type SystemMessagesOptions,
  type SystemPosition,
  type SystemPositionStore,
} from "./system-messages.ts";
export type { TypingNotice } from "./typing-board.ts";
