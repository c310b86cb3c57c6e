// SPDX-License-Identifier: Apache-2.0

import { Event } from "../codec.ts";
import { bool, type Decoded, many, message, one, string, strings, uint32, uint64 } from "../codec-fields.ts";

export const GroupCreate = message({ name: string(1), userIds: strings(2), fromStart: bool(3) });
export const GroupUsers = message({ userIds: strings(1) });
export const GroupLeave = message({});
export const GroupSetRole = message({ userId: string(1), role: string(2) });
export const GroupRename = message({ name: string(1) });
export const GroupPage = message({ after: string(1), limit: uint32(2) });

export const Group = message({
  requestId: string(1),
  conversationId: string(2),
  create: one(3, GroupCreate),
  invite: one(4, GroupUsers),
  remove: one(5, GroupUsers),
  leave: one(6, GroupLeave),
  setRole: one(7, GroupSetRole),
  rename: one(8, GroupRename),
  info: one(9, GroupPage),
  mine: one(10, GroupPage),
});
export type Group = Decoded<typeof Group>;

export const GroupSummary = message({
  conversationId: string(1),
  name: string(2),
  version: uint64(3),
  memberCount: uint32(4),
  role: string(5),
  fromStart: bool(6),
  lastSeq: uint64(7),
  large: bool(8),
});
export const GroupMember = message({ userId: string(1), role: string(2) });

export const GroupReply = message({
  conversationId: string(1),
  version: uint64(2),
  convSeq: uint64(3),
  duplicate: bool(4),
  userIds: strings(5),
  group: one(6, GroupSummary),
  members: many(7, GroupMember),
  groups: many(8, GroupSummary),
  next: string(9),
  events: many(10, Event),
});
export type GroupReply = Decoded<typeof GroupReply>;
