// SPDX-License-Identifier: Apache-2.0
import { MAX_MUTED } from "../../store/mutes.ts";
import { text, timeMs, USER_ID } from "../fields.ts";
import { type ApiPorts, ok, operation } from "../operation.ts";
import { refuse } from "../problem.ts";
import { object } from "../schema.ts";

const PATH = object({ userId: USER_ID });
const YEAR_MS = 366 * 86_400_000;

const MUTE = object(
  {
    muted: { type: "boolean", description: "It may not write" },
    untilMs: timeMs("Until when; 0: it may write"),
    reason: { type: "string", description: "As the user is told" },
  },
  [],
  "Mute",
);

async function shown({ mutes }: ApiPorts, tenant: string, userId: string): Promise<object> {
  const mute = await mutes.find(tenant, userId);
  return { muted: mute !== undefined, untilMs: mute?.untilMs ?? 0, reason: mute?.reason ?? "" };
}

export const muteUser = operation({
  id: "muteUser",
  method: "POST",
  path: "/v1/users/{userId}/mute",
  summary: "Let a user write nothing for a while",
  description:
    "It stays logged in and reads on; what it sends or edits is refused with BOUNCED and the rule muted, within 2 s everywhere. Recalls go on. The last call counts.",
  scope: "users:manage",
  pathFields: PATH,
  bodyFields: object(
    {
      forMs: { type: "integer", minimum: 1000, maximum: YEAR_MS, description: "From now on, ms; a year at most" },
      reason: text("For the user: one sentence", 200),
    },
    ["reason"],
    "NewMute",
  ),
  reply: { status: 200, description: "It is in force", schema: MUTE },
  problems: ["not_allowed"],
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId }, body: { forMs, reason = "" } }, ports) {
    if (await ports.mutes.set(tenant, userId, { forMs, reason })) return ok(await shown(ports, tenant, userId));
    return refuse(
      "not_allowed",
      `${MAX_MUTED} users are muted already: let some of them write again, or revoke this one`,
    );
  },
});

export const unmuteUser = operation({
  id: "unmuteUser",
  method: "POST",
  path: "/v1/users/{userId}/unmute",
  summary: "Let a user write again",
  description: "At once. Of a user that is not muted it changes nothing.",
  scope: "users:manage",
  pathFields: PATH,
  reply: { status: 204, description: "It may write" },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId } }, { mutes }) {
    await mutes.set(tenant, userId, { forMs: 0, reason: "" });
    return ok();
  },
});

export const readMute = operation({
  id: "readMute",
  method: "GET",
  path: "/v1/users/{userId}/mute",
  summary: "May a user write?",
  description: "A user that nobody knows may.",
  scope: "users:read",
  pathFields: PATH,
  reply: { status: 200, description: "Whether, and until when not", schema: MUTE },
  target: ({ path: { userId } }) => userId,
  run: async ({ tenant, path: { userId } }, ports) => ok(await shown(ports, tenant, userId)),
});
