// SPDX-License-Identifier: Apache-2.0
import type { Operation } from "../operation.ts";
import {
  addBroadcastUsers,
  createBroadcast,
  listBroadcasts,
  muteTopics,
  readBroadcast,
  readMutedTopics,
  retractBroadcast,
} from "./broadcasts.ts";
import { reportCardState, sendCard } from "./cards.ts";
import { listConversations } from "./conversations.ts";
import { exportConversation, exportUser, exportUserMessages, exportUserOrders, exportUserReports } from "./exports.ts";
import { readFleet } from "./fleet.ts";
import { eraseUser, listHolds, placeHold, readErasure, readmitUser, releaseHold } from "./governance.ts";
import { addGroupMembers, createGroup, readGroup, removeGroupMembers, renameGroup, setGroupRole } from "./groups.ts";
import { listDeadHookEvents, listHooks, replayDeadHookEvents, rewindHook } from "./hooks.ts";
import { readHistory, readLedger, sendMessage, sendNotification } from "./messages.ts";
import { muteUser, readMute, unmuteUser } from "./mutes.ts";
import { listReports, resolveReport, setOrder } from "./safety.ts";
import { listDeadLetters, readAudit, replayDeadLetters } from "./service.ts";
import { kickUser, readDevices, readPresence, revokeToken, revokeUser } from "./users.ts";

/** The whole API, one row each: what is not here is not served, and what is here is in the OpenAPI document. */
export const OPERATIONS: readonly Operation[] = [
  sendMessage,
  sendNotification,
  sendCard,
  reportCardState,
  readLedger,
  readHistory,
  listConversations,
  createGroup,
  readGroup,
  addGroupMembers,
  removeGroupMembers,
  setGroupRole,
  renameGroup,
  createBroadcast,
  readBroadcast,
  listBroadcasts,
  addBroadcastUsers,
  retractBroadcast,
  muteTopics,
  readMutedTopics,
  readDevices,
  readPresence,
  muteUser,
  unmuteUser,
  readMute,
  kickUser,
  revokeUser,
  revokeToken,
  eraseUser,
  readErasure,
  readmitUser,
  placeHold,
  releaseHold,
  listHolds,
  exportConversation,
  exportUser,
  exportUserMessages,
  exportUserReports,
  exportUserOrders,
  listReports,
  resolveReport,
  setOrder,
  listDeadLetters,
  replayDeadLetters,
  listHooks,
  listDeadHookEvents,
  replayDeadHookEvents,
  rewindHook,
  readAudit,
  readFleet,
];
