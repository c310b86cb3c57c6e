// SPDX-License-Identifier: Apache-2.0
import { count, DEVICE, text, timeMs, USER_ID } from "../fields.ts";
import { ok, operation } from "../operation.ts";
import { object } from "../schema.ts";

const MAX_DEVICES = 10_000;
const MAX_USERS = 100;

const USER = object(
  {
    userId: { type: "string", description: "As asked for" },
    online: { type: "boolean", description: "Whether any device is connected now" },
    devices: { type: "array", items: DEVICE, maxItems: MAX_DEVICES, description: "Those that ever logged in" },
  },
  [],
  "User",
);

export const readDevices = operation({
  id: "readDevices",
  method: "GET",
  path: "/v1/users/{userId}/devices",
  summary: "A user's devices, and where they are online",
  description: "A user that nobody knows has none.",
  scope: "users:read",
  pathFields: object({ userId: USER_ID }),
  reply: { status: 200, description: "The user with its devices", schema: USER },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId } }, { users }) {
    return ok((await users.look(tenant, [userId]))[0]);
  },
});

export const readPresence = operation({
  id: "readPresence",
  method: "GET",
  path: "/v1/presence",
  summary: "Who is online",
  description: "Of up to 100 users; a user that nobody knows is offline.",
  scope: "users:read",
  queryFields: object({
    userId: {
      type: "array",
      items: USER_ID,
      minItems: 1,
      maxItems: MAX_USERS,
      description: "Given once for each user",
    },
  }),
  reply: {
    status: 200,
    description: "The users in the order asked for",
    schema: object({ users: { type: "array", items: USER, maxItems: MAX_USERS } }, [], "Presence"),
  },
  target: ({ query: { userId } }) => `${userId.length} users`,
  async run({ tenant, query: { userId } }, { users }) {
    return ok({ users: await users.look(tenant, userId) });
  },
});

export const kickUser = operation({
  id: "kickUser",
  method: "POST",
  path: "/v1/users/{userId}/kick",
  summary: "Close a user's sessions",
  description:
    "Their tokens stay good, and the app asks the user to log in again: revoke the tokens as well to keep it out.",
  scope: "users:manage",
  pathFields: object({ userId: USER_ID }),
  bodyFields: object(
    {
      slot: {
        type: "string",
        minLength: 1,
        maxLength: 16,
        pattern: "^[a-z]{1,10}(?:#[0-9]{1,3})?$",
        description: "Only this class or slot, such as mobile or web#1. Default: all",
      },
      reason: text("For the user: one sentence", 200),
    },
    ["slot", "reason"],
    "Kick",
  ),
  reply: {
    status: 200,
    description: "They are told to leave",
    schema: object({ sessions: count("How many") }, [], "Kicked"),
  },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId }, body: { slot = "", reason = "" } }, { users }) {
    return ok({ sessions: await users.kick(tenant, userId, { slot, reason }) });
  },
});

export const revokeUser = operation({
  id: "revokeUser",
  method: "POST",
  path: "/v1/users/{userId}/revoke",
  summary: "Refuse all tokens of a user",
  description: "Those issued before a time. Sessions on them are closed within 2 s. A later token is good again.",
  scope: "users:manage",
  pathFields: object({ userId: USER_ID }),
  bodyFields: object(
    { validAfterMs: timeMs("Tokens issued before it are refused; default now") },
    ["validAfterMs"],
    "RevokeUser",
  ),
  reply: { status: 204, description: "No login with them succeeds any more" },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId }, body: { validAfterMs = 0 } }, { users }) {
    await users.revoke(tenant, userId, validAfterMs);
    return ok();
  },
});

export const revokeToken = operation({
  id: "revokeToken",
  method: "POST",
  path: "/v1/tokens/revoke",
  summary: "Refuse one token",
  description: "A session on it is closed within 2 s.",
  scope: "users:manage",
  bodyFields: object(
    {
      tokenId: { ...text("Its claim jti, without control characters", 128, 1), pattern: "^[^\\u0000-\\u001f]*$" },
      expiresAtMs: timeMs("Its claim exp in ms: how long it is remembered. Default: for a year"),
    },
    ["expiresAtMs"],
    "RevokeToken",
  ),
  reply: { status: 204, description: "No login with it succeeds any more" },
  target: ({ body: { tokenId } }) => tokenId,
  async run({ tenant, body: { tokenId, expiresAtMs = 0 } }, { users }) {
    await users.revokeToken(tenant, tokenId, expiresAtMs);
    return ok();
  },
});
