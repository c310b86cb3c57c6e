// SPDX-License-Identifier: Apache-2.0
import { readSegment, SEGMENT_ATTRIBUTES } from "../../broadcasts/segment.ts";
import {
  MAX_LIST_PARTS,
  MAX_LISTED_USERS,
  MAX_OPEN_BROADCASTS,
  MAX_USERS_AT_ONCE,
  type StoredBroadcast,
} from "../../store/broadcast-store.ts";
import type { NewBroadcastAsk } from "../broadcast-desk.ts";
import { readContent, writeContent } from "../content.ts";
import { cursorOf, positionOf } from "../cursor.ts";
import {
  CONTENT,
  CONTENT_TYPE,
  CURSOR,
  count,
  ENCODING,
  limit,
  NEXT_CURSOR,
  text,
  timeMs,
  USER_ID,
} from "../fields.ts";
import { ok, operation } from "../operation.ts";
import { type Refusal, refuse } from "../problem.ts";
import { type Infer, object } from "../schema.ts";

const MAX_PAGE = 100;
const MAX_RULES = 10;
const MAX_VALUES = 50;
/** That one user may have muted. */
const MAX_TOPICS = 50;
const AUDIENCES = ["all", "segment", "users"] as const;

const BROADCAST_ID = text("A broadcast, as createBroadcast named it", 64, 1);
const PATH = object({ broadcastId: BROADCAST_ID });
const USER_IDS = {
  type: "array",
  items: USER_ID,
  maxItems: MAX_USERS_AT_ONCE,
  description: `Who gets it, at most ${MAX_USERS_AT_ONCE} at once; more by addBroadcastUsers`,
} as const;

const SEGMENT = {
  type: "array",
  maxItems: MAX_RULES,
  description: "Who gets it: every rule holds",
  items: object(
    {
      attribute: text(`What the rule is about: ${SEGMENT_ATTRIBUTES.join(", ")}`, 64, 1),
      values: {
        type: "array",
        items: text("Such as ios, de or 2026-01-31T00:00:00Z", 64, 1),
        minItems: 1,
        maxItems: MAX_VALUES,
        description: "One of them holds",
      },
    },
    [],
    "SegmentRule",
  ),
} as const;

const TOPIC = {
  type: "string",
  minLength: 1,
  maxLength: 32,
  pattern: "^[a-z0-9_.-]{1,32}$",
  description: "What it is about, which users may want none of: 1 to 32 of a-z, 0-9, _, . and -",
  examples: ["sale"],
} as const;
const MAX_PER_DAY = {
  type: "integer",
  minimum: 1,
  maximum: 20,
  description:
    "With topic: who was given so many of the topic that came into force on the same day (UTC, by notBeforeMs) is not given this one",
} as const;

const WINDOW = {
  notBeforeMs: timeMs("From when on it is given to users"),
  notAfterMs: timeMs("Until when"),
  urgent: { type: "boolean", description: "Whether everybody who is connected gets it at once" },
} as const;

const BROADCAST = object(
  {
    broadcastId: BROADCAST_ID,
    contentType: { type: "string", description: "How clients read the content" },
    content: { ...CONTENT, description: "The content" },
    encoding: ENCODING,
    audience: { type: "string", enum: AUDIENCES, description: "Whom it is for" },
    segment: SEGMENT,
    users: count("How many users are on its list; 0 when it has none"),
    ...WINDOW,
    topic: TOPIC,
    maxPerDay: MAX_PER_DAY,
    state: {
      type: "string",
      enum: ["planned", "active", "ended", "retracted"],
      description: "planned: not yet in force; ended: its time is over",
    },
    activationSeq: count(
      "Its number among those of the tenant, in the order in which they came into force; 0 while it is planned",
    ),
    createdAtMs: timeMs("When it was made"),
  },
  ["segment", "topic", "maxPerDay"],
  "Broadcast",
);

const MADE = object({ broadcastId: BROADCAST_ID }, [], "BroadcastMade");
const NEW = object(
  {
    contentType: CONTENT_TYPE,
    content: CONTENT,
    encoding: ENCODING,
    audience: {
      type: "string",
      enum: AUDIENCES,
      description: "all: every user; segment: see segment; users: see userIds",
    },
    segment: SEGMENT,
    userIds: USER_IDS,
    ...WINDOW,
    topic: TOPIC,
    maxPerDay: MAX_PER_DAY,
  },
  ["encoding", "segment", "userIds", "notBeforeMs", "urgent", "topic", "maxPerDay"],
  "NewBroadcast",
);

const NOTHING = "no such broadcast: check the id";

/** The audience of a request, or what is wrong with it. */
function audienceOf(body: Infer<typeof NEW>): Pick<NewBroadcastAsk, "audience" | "segment" | "userIds"> | Refusal {
  const { audience, segment = [], userIds = [] } = body;
  if ((audience !== "segment" && segment.length > 0) || (audience !== "users" && userIds.length > 0))
    return refuse("invalid", `audience is ${audience}: leave out what is for another one`);
  if (audience === "users" && userIds.length === 0)
    return refuse("empty_audience", "userIds is empty: name the first users, more can be added");
  if (audience === "segment" && segment.length === 0)
    return refuse("empty_audience", "segment has no rule: for every user set audience to all");
  const read = readSegment(segment);
  if (!("problem" in read)) return { audience, segment: audience === "segment" ? JSON.stringify(read) : "", userIds };
  const path = `/segment/${read.at}/${read.problem === "bad-value" ? "values" : "attribute"}`;
  if (read.problem === "unknown-attribute")
    return refuse("unknown_segment", `segments know the attributes ${SEGMENT_ATTRIBUTES.join(", ")}`, {
      faults: [{ path, message: `must be one of ${SEGMENT_ATTRIBUTES.join(", ")}` }],
    });
  return refuse("invalid", `${path} has a value that the attribute never has`, {
    faults: [{ path, message: "must be platforms, locales or times, as the attribute says" }],
  });
}

export const createBroadcast = operation({
  id: "createBroadcast",
  method: "POST",
  path: "/v1/broadcasts",
  summary: "Tell many users something",
  description: `It is stored once, whoever it is for. Users who are connected get it within a heartbeat from notBeforeMs on, at once when it is urgent; others when they come back before notAfterMs. Who first logs in after it came into force does not get it. At most ${MAX_OPEN_BROADCASTS} may be planned or in force.`,
  scope: "broadcasts:manage",
  bodyFields: NEW,
  reply: { status: 201, description: "It is stored; a repetition of the request gets the same answer", schema: MADE },
  problems: ["inverted_window", "unknown_segment", "empty_audience", "too_many_broadcasts"],
  target: ({ body: { audience, contentType } }) => `${audience} ${contentType}`,
  traced: "announce",
  async run({ tenant, idempotencyKey, body, span }, { broadcasts, tracer }) {
    const content = readContent(body.content, body.encoding);
    if ("kind" in content) return content;
    const audience = audienceOf(body);
    if ("kind" in audience) return audience;
    const { contentType, notBeforeMs = 0, notAfterMs, urgent = false, topic = "", maxPerDay = 0 } = body;
    if (topic === "" && maxPerDay > 0) return refuse("invalid", "maxPerDay is of a topic: name it, or leave it out");
    if (topic !== "" && urgent)
      return refuse("invalid", "what is urgent comes to everybody: leave out topic, or urgent");
    const ask = { tenant, idempotencyKey, contentType, content, ...audience, notBeforeMs, notAfterMs, urgent };
    span?.note({ "messaging.message.body.size": content.length });
    const storing = span && tracer?.start("storeBroadcast", span.context);
    const made = await broadcasts.create({ ...ask, topic, maxPerDay }).finally(() => storing?.end());
    if (typeof made === "string") span?.note({ "messaging.message.id": made });
    return typeof made === "string" ? ok({ broadcastId: made }) : made;
  },
});

export const readBroadcast = operation({
  id: "readBroadcast",
  method: "GET",
  path: "/v1/broadcasts/{broadcastId}",
  summary: "A broadcast",
  description: "Its content, whom it is for, and whether it is in force. The users of a list are counted, not named.",
  scope: "broadcasts:read",
  pathFields: PATH,
  reply: { status: 200, description: "The broadcast", schema: BROADCAST },
  problems: ["not_found"],
  target: ({ path: { broadcastId } }) => broadcastId,
  async run({ tenant, path: { broadcastId } }, { broadcasts }) {
    const found = await broadcasts.find(tenant, broadcastId);
    return found ? ok(shown(found, broadcasts.nowMs())) : refuse("not_found", NOTHING);
  },
});

export const listBroadcasts = operation({
  id: "listBroadcasts",
  method: "GET",
  path: "/v1/broadcasts",
  summary: "The broadcasts",
  description: "All that were made, newest first, without their contents.",
  scope: "broadcasts:read",
  queryFields: object({ cursor: CURSOR, limit: limit(MAX_PAGE) }, ["cursor", "limit"]),
  reply: {
    status: 200,
    description: "A page of them",
    schema: object(
      { broadcasts: { type: "array", items: BROADCAST, maxItems: MAX_PAGE }, nextCursor: NEXT_CURSOR },
      ["nextCursor"],
      "BroadcastPage",
    ),
  },
  target: () => "",
  async run({ tenant, query: { cursor, limit: size = MAX_PAGE } }, { broadcasts }) {
    const before = positionOf("broadcasts", cursor);
    if (typeof before !== "number") return before;
    const page = await broadcasts.list(tenant, { before, limit: size });
    const last = page.length === size ? page.at(-1) : undefined;
    return ok({
      broadcasts: page.map((one) => ({ ...shown(one, broadcasts.nowMs()), content: "", encoding: "utf8" })),
      ...(last ? { nextCursor: cursorOf("broadcasts", last.number) } : {}),
    });
  },
});

export const addBroadcastUsers = operation({
  id: "addBroadcastUsers",
  method: "POST",
  path: "/v1/broadcasts/{broadcastId}/users",
  summary: "Add users to the list of a broadcast",
  description: `Before it is in force or later: whoever is added late gets it within a heartbeat, and nobody gets it twice. At most ${MAX_LISTED_USERS} in all. While it is in force users may be added ${MAX_LIST_PARTS} times, a second apart; within a second counts once.`,
  scope: "broadcasts:manage",
  pathFields: PATH,
  bodyFields: object({ userIds: { ...USER_IDS, minItems: 1 } }, [], "AddBroadcastUsers"),
  reply: {
    status: 200,
    description: "They are on the list",
    schema: object(
      { added: count("How many were not on it before"), users: count("How many are on it now") },
      [],
      "BroadcastUsersAdded",
    ),
  },
  problems: ["not_found", "no_list", "broadcast_over", "too_many_users", "too_many_portions"],
  target: ({ path: { broadcastId } }) => broadcastId,
  async run({ tenant, path: { broadcastId }, body: { userIds } }, { broadcasts }) {
    const added = await broadcasts.addUsers(tenant, broadcastId, userIds);
    switch (added.kind) {
      case "added":
        return ok({ added: added.added, users: added.users });
      case "missing":
        return refuse("not_found", NOTHING);
      case "no-list":
        return refuse("no_list", "it is for everybody or for a segment: only lists take users");
      case "over":
        return refuse("broadcast_over", "it was retracted, or its time is over: make a new one");
      case "too-many-users":
        return refuse("too_many_users", `more than ${MAX_LISTED_USERS} users: make a second broadcast`);
      case "too-many-parts":
        return refuse("too_many_portions", "users were added too often while it was in force: make a second broadcast");
    }
  },
});

export const retractBroadcast = operation({
  id: "retractBroadcast",
  method: "POST",
  path: "/v1/broadcasts/{broadcastId}/retract",
  summary: "Retract a broadcast",
  description: "Within two seconds nobody gets it any more. Who has it keeps it.",
  scope: "broadcasts:manage",
  pathFields: PATH,
  bodyFields: object({}, [], "RetractBroadcast"),
  reply: { status: 204, description: "It is retracted, now or before" },
  problems: ["not_found"],
  target: ({ path: { broadcastId } }) => broadcastId,
  async run({ tenant, path: { broadcastId } }, { broadcasts }) {
    return (await broadcasts.retract(tenant, broadcastId)) ? ok() : refuse("not_found", NOTHING);
  },
});

const TOPICS = object(
  {
    topics: {
      type: "array",
      items: TOPIC,
      maxItems: MAX_TOPICS,
      description: "Of these the user is given nothing more; an empty list: of all everything",
    },
  },
  [],
  "MutedTopics",
);

export const muteTopics = operation({
  id: "muteTopics",
  method: "POST",
  path: "/v1/users/{userId}/muted-topics",
  summary: "Say of which topics a user gets no broadcasts",
  description:
    "The list takes the place of the one before. It holds from the next time on that a device of the user asks for broadcasts; what a device has stays.",
  scope: "users:manage",
  pathFields: object({ userId: USER_ID }),
  bodyFields: TOPICS,
  reply: { status: 204, description: "It is in force" },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId }, body: { topics } }, { broadcasts }) {
    await broadcasts.muteTopics(tenant, userId, topics);
    return ok();
  },
});

export const readMutedTopics = operation({
  id: "readMutedTopics",
  method: "GET",
  path: "/v1/users/{userId}/muted-topics",
  summary: "Of which topics does a user get no broadcasts?",
  description: "Of a user that nobody knows: of none.",
  scope: "users:read",
  pathFields: object({ userId: USER_ID }),
  reply: { status: 200, description: "The topics", schema: TOPICS },
  target: ({ path: { userId } }) => userId,
  run: async ({ tenant, path: { userId } }, { broadcasts }) =>
    ok({ topics: await broadcasts.mutedTopics(tenant, userId) }),
});

function shown(broadcast: StoredBroadcast, nowMs: number): object {
  const { broadcastId, contentType, content, audience, segment, users, createdMs, activationSeq } = broadcast;
  const { notBeforeMs, notAfterMs, urgent, topic, maxPerDay } = broadcast;
  return {
    ...{ broadcastId, contentType, ...writeContent(content), audience, users, notBeforeMs, notAfterMs, urgent },
    ...(segment === "" ? {} : { segment: JSON.parse(segment) as unknown }),
    ...(topic === "" ? {} : { topic }),
    ...(maxPerDay === 0 ? {} : { maxPerDay }),
    ...{ state: stateOf(broadcast, nowMs), activationSeq, createdAtMs: createdMs },
  };
}

function stateOf({ retractedMs, notAfterMs, activationSeq }: StoredBroadcast, nowMs: number): string {
  if (retractedMs > 0) return "retracted";
  if (notAfterMs <= nowMs) return "ended";
  return activationSeq > 0 ? "active" : "planned";
}
