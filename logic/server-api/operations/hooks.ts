// SPDX-License-Identifier: Apache-2.0
import { HOOK_KINDS } from "../../store/hooks.ts";
import { cursorOf, positionOf } from "../cursor.ts";
import { CURSOR, count, limit, NEXT_CURSOR, timeMs } from "../fields.ts";
import { MAX_REPLAYED } from "../hook-desk.ts";
import { ok, operation } from "../operation.ts";
import { object } from "../schema.ts";

const MAX_HOOKS = 20;
const MAX_DEAD = 100;
const DEAD_LIST = "dead-hook-events";

const NAME = {
  type: "string",
  minLength: 1,
  maxLength: 63,
  pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
  description: "A webhook, as the file of hooks names it. One that the tenant does not have has nothing",
  examples: ["shop"],
} as const;
const KIND = { type: "string", enum: HOOK_KINDS, description: "What it is about" } as const;

export const listHooks = operation({
  id: "listHooks",
  method: "GET",
  path: "/v1/hooks",
  summary: "Webhooks, and how far they are",
  description: "Those of the key's tenant.",
  scope: "hooks:read",
  reply: {
    status: 200,
    description: "All of them",
    schema: object(
      {
        hooks: {
          type: "array",
          maxItems: MAX_HOOKS,
          items: object({
            name: { type: "string", description: "As in the file of hooks" },
            events: { type: "array", maxItems: HOOK_KINDS.length, items: KIND, description: "What it is told of" },
            position: count("It was told of everything up to here"),
            oldestMs: count("Age of the oldest event that it was not told of, ms; 0 = there is none"),
            tries: count(
              "How often the next event failed, of the part of the events where that is most; 0 = none fails",
            ),
            dead: count("Events that it did not take"),
          }),
        },
      },
      [],
      "Hooks",
    ),
  },
  target: () => "",
  async run({ tenant }, { hooks }) {
    return ok({ hooks: await hooks.list(tenant) });
  },
});

export const listDeadHookEvents = operation({
  id: "listDeadHookEvents",
  method: "GET",
  path: "/v1/hooks/{hook}/dead",
  summary: "Events that a webhook did not take",
  description: "Oldest first. They are kept as long as the log of events.",
  scope: "hooks:read",
  pathFields: object({ hook: NAME }),
  queryFields: object({ cursor: CURSOR, limit: limit(MAX_DEAD) }, ["cursor", "limit"]),
  reply: {
    status: 200,
    description: "A page of them",
    schema: object(
      {
        events: {
          type: "array",
          maxItems: MAX_DEAD,
          items: object({
            position: count("In the log"),
            id: { type: "string", description: "Of the event, the same however often it is told" },
            type: KIND,
            key: { type: "string", description: "The conversation or user that it is about" },
            atMs: timeMs("When it happened"),
            diedMs: timeMs("When it was given up"),
            tries: count("How often it was told in vain"),
            reason: { type: "string", description: "What came of the last try" },
          }),
        },
        nextCursor: NEXT_CURSOR,
      },
      ["nextCursor"],
      "DeadHookEvents",
    ),
  },
  target: ({ path: { hook } }) => hook,
  async run({ tenant, path: { hook }, query }, { hooks }) {
    const after = positionOf(DEAD_LIST, query.cursor);
    if (typeof after !== "number") return after;
    const size = query.limit ?? MAX_DEAD;
    const dead = await hooks.dead(tenant, hook, { after, limit: size });
    const last = dead.length === size ? dead.at(-1) : undefined;
    return ok({
      events: dead.map(({ kind: type, storedMs: atMs, position, id, key, diedMs, tries, reason }) => ({
        ...{ position, id, type, key, atMs, diedMs, tries, reason },
      })),
      ...(last ? { nextCursor: cursorOf(DEAD_LIST, last.position) } : {}),
    });
  },
});

export const replayDeadHookEvents = operation({
  id: "replayDeadHookEvents",
  method: "POST",
  path: "/v1/hooks/{hook}/dead/replay",
  summary: "Tell a webhook again of events that it did not take",
  description: `They come behind everything that waits, with the ids that they had. ${MAX_REPLAYED} at most: call again for more.`,
  scope: "hooks:replay",
  pathFields: object({ hook: NAME }),
  bodyFields: object(
    {
      positions: {
        type: "array",
        maxItems: MAX_REPLAYED,
        items: count("Of a dead event"),
        description: "Which; left out, the oldest",
      },
    },
    ["positions"],
    "ReplayDeadHookEvents",
  ),
  reply: {
    status: 200,
    description: "They are on their way",
    schema: object({ replayed: count("How many") }, [], "ReplayedHookEvents"),
  },
  target: ({ path: { hook } }) => hook,
  async run({ tenant, path: { hook }, body: { positions } }, { hooks }) {
    return ok({ replayed: await hooks.replayDead(tenant, hook, positions) });
  },
});

export const rewindHook = operation({
  id: "rewindHook",
  method: "POST",
  path: "/v1/hooks/{hook}/rewind",
  summary: "Tell a webhook again of everything since",
  description:
    "From a position or a time on, as far as the log goes back, and never forward: what it was not told of yet is not skipped. Events have the ids that they had.",
  scope: "hooks:replay",
  pathFields: object({ hook: NAME }),
  bodyFields: object(
    {
      by: { type: "string", enum: ["position", "time"], description: "What from is" },
      from: count("A position in the log, or ms since 1970", 8_640_000_000_000_000),
    },
    [],
    "RewindHook",
  ),
  reply: {
    status: 200,
    description: "It is set back",
    schema: object({ rewound: { type: "boolean", description: "False: there is no such webhook" } }, [], "RewoundHook"),
  },
  target: ({ path: { hook } }) => hook,
  async run({ tenant, path: { hook }, body: { by, from } }, { hooks }) {
    const start = by === "position" ? { position: Math.max(1, from) } : { timeMs: from };
    return ok({ rewound: await hooks.rewind(tenant, hook, start) });
  },
});
