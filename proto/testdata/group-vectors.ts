// SPDX-License-Identifier: Apache-2.0
import { Command, Flag } from "../commands.ts";
import { Group, GroupReply } from "../gen/messages.ts";
import { body, type ChatVectors, frame, json } from "./vector-kit.ts";

const CREATE = { requestId: "r-1", create: { name: "friends", userIds: ["bob", "carol"], fromStart: true } };
const SET_ROLE = { requestId: "r-2", conversationId: "g_1", setRole: { userId: "bob", role: "admin" } };
const LEAVE = { requestId: "r-3", conversationId: "g_1", leave: {} };
const CHANGED = { conversationId: "g_1", version: 2, convSeq: 7, duplicate: true, userIds: ["bob"] };
const SUMMARY = {
  ...{
    conversationId: "g_1",
    name: "friends",
    version: 3,
    memberCount: 201,
    role: "owner",
    fromStart: true,
    lastSeq: 9,
    large: true,
  },
};
const MEMBERS = [
  { userId: "alice", role: "owner" },
  { userId: "bob", role: "member" },
];
const NO_REPLY = {
  ...{ conversationId: "", version: "0", convSeq: "0", duplicate: false, userIds: [], group: null, members: [] },
  ...{ groups: [], next: "", events: [] },
};

/** Golden vectors of GROUP. */
export const GROUP_VECTORS: ChatVectors = {
  frames: [
    frame("GROUP, create", Command.GROUP, 9, 0, Group.encode(CREATE)),
    frame("GROUP, leave: an operation without fields", Command.GROUP, 10, 0, Group.encode(LEAVE)),
    frame("GROUP, reply", Command.GROUP, 9, Flag.REPLY, GroupReply.encode(CHANGED)),
  ],
  bodies: [
    body("Group", Group, CREATE),
    body("Group", Group, { ...LEAVE, leave: null, invite: { userIds: ["bob"] } }),
    body("Group", Group, { ...LEAVE, leave: null, remove: { userIds: ["bob", "carol"] } }),
    body("Group", Group, LEAVE),
    body("Group", Group, SET_ROLE),
    body("Group", Group, { ...LEAVE, leave: null, rename: { name: "你好" } }),
    body("Group", Group, { conversationId: "g_1", info: { after: "alice", limit: 100 } }),
    body("Group", Group, { mine: { after: "g_0", limit: 1 } }),
    body("GroupReply", GroupReply, CHANGED),
    body("GroupReply", GroupReply, { ...CHANGED, duplicate: false, group: SUMMARY, members: MEMBERS, next: "bob" }),
    body("GroupReply", GroupReply, { groups: [SUMMARY, { ...SUMMARY, conversationId: "g_2" }], next: "g_2" }),
  ],
  json: [
    json("client", "GROUP, an operation of two fields", { cmd: "GROUP", rid: 6, body: SET_ROLE }, [
      ...([Command.GROUP, 6, 0] as const),
      Group.encode(SET_ROLE),
    ]),
    json("client", "GROUP, an operation without fields", { cmd: "GROUP", rid: 7, body: LEAVE }, [
      ...([Command.GROUP, 7, 0] as const),
      Group.encode(LEAVE),
    ]),
    json(
      "server",
      "GROUP, a page of groups",
      {
        ...{ cmd: "GROUP", rid: 8, flags: 1 },
        body: { ...NO_REPLY, groups: [{ ...SUMMARY, version: "3", lastSeq: "9" }], next: "g_1" },
      },
      [Command.GROUP, 8, Flag.REPLY, GroupReply.encode({ groups: [SUMMARY], next: "g_1" })],
    ),
  ],
};
