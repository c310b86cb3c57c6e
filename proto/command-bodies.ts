// SPDX-License-Identifier: Apache-2.0
import type { Command } from "./commands.ts";

/** Names the message in the body of a command; `""`: a body without fields. */
export interface CommandBodies {
  /** Of clients. Absent: clients do not send the command. */
  readonly up?: string;
  /** Of servers. */
  readonly down?: string;
}

/** What is in the body of every command, by direction. Messages of `im.client.v1`. */
export const COMMAND_BODIES: Readonly<Record<keyof typeof Command, CommandBodies>> = {
  HELLO: { up: "Hello" },
  WELCOME: { down: "Welcome" },
  PING: { up: "Ping" },
  PONG: { down: "Pong" },
  REAUTH: { up: "Reauth", down: "ReauthOk" },
  GOAWAY: { down: "Goaway" },
  KICK: { down: "Kick" },
  LOGOUT: { up: "" },
  ERROR: { down: "ErrorInfo" },
  APP_STATE: { up: "AppState" },
  DEVICE: { up: "Device", down: "" },
  SEND: { up: "Send" },
  SEND_ACK: { down: "SendAck" },
  PUSH: { down: "Push" },
  PUSH_ACK: { up: "PushAck" },
  READ: { up: "Read", down: "ReadState" },
  TYPING: { up: "Typing", down: "TypingState" },
  RECALL: { up: "Recall", down: "Changed" },
  EDIT: { up: "Edit", down: "Changed" },
  CARD_ACTION: { up: "CardAction", down: "CardActionResult" },
  SYNC: { up: "Sync" },
  SYNC_PAGE: { down: "SyncPage" },
  HISTORY: { up: "History" },
  HISTORY_PAGE: { down: "HistoryPage" },
  SNAPSHOT: { up: "Snapshot" },
  SNAPSHOT_PAGE: { down: "SnapshotPage" },
  SYS_PULL: { up: "SysPull" },
  SYS_PAGE: { down: "SysPage" },
  CONTACTS: { up: "Contacts", down: "ContactsPage" },
  CONV_SET: { up: "ConvSet", down: "ConvState" },
  PRESENCE_SUB: { up: "PresenceSub" },
  PRESENCE: { up: "PresenceAsk", down: "Presence" },
  BLOCK: { up: "Block", down: "BlockList" },
  REPORT: { up: "Report", down: "Reported" },
  GROUP: { up: "Group", down: "GroupReply" },
};
