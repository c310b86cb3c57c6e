// SPDX-License-Identifier: Apache-2.0
import { cursorOf, positionOf } from "../cursor.ts";
import { CURSOR, count, limit, NEXT_CURSOR, timeMs } from "../fields.ts";
import { ENTRY_STATES } from "../fleet-desk.ts";
import { ok, operation } from "../operation.ts";
import { refuse } from "../problem.ts";
import { object } from "../schema.ts";

const MAX_PAGE = 200;
const FLEET_LIST = "fleet";

const DRAIN = object(
  {
    initial: count("Sessions when it began"),
    asked: count("Sessions that were asked to move"),
    waiting: count("Sessions that were not asked yet"),
    forced: count("Sessions that were closed at the deadline"),
  },
  [],
  "EntryDrain",
);

const ENTRY = object(
  {
    name: { type: "string", description: "Its pod" },
    incarnation: { type: "string", description: "This start of it, as devices name it: readDevices" },
    version: { type: "string", description: "Of its program" },
    state: {
      type: "string",
      enum: ENTRY_STATES,
      description:
        "cordoned: it takes no new connections; draining: its clients are asked to move; silent: attached, and nothing was heard of it for 10 s; unknown: its version does not tell",
    },
    connections: count("Open connections, of those who are not logged in, too"),
    sessions: count("Connections that are logged in"),
    logics: count("Logic pods that it is attached to"),
    logins: count("Logins since its start"),
    answerP99Ms: count("From a client's message to its answer, p99 of the latest; 0: too few"),
    reportedAtMs: timeMs("When it last said so; 0: never"),
    drain: DRAIN,
  },
  ["drain"],
  "FleetEntry",
);

export const readFleet = operation({
  id: "readFleet",
  method: "GET",
  path: "/v1/fleet",
  summary: "The entries: connections, versions, drains",
  description:
    "As the logic that answers hears of them, every 2 s; in the order in which they were started. The fleet is no tenant's: keys of the default tenant only.",
  scope: "fleet:read",
  queryFields: object({ cursor: CURSOR, limit: limit(MAX_PAGE) }, ["cursor", "limit"]),
  reply: {
    status: 200,
    description: "A page of them, with sums over all",
    schema: object(
      {
        logic: { type: "string", description: "The pod that answers" },
        entries: { type: "array", maxItems: MAX_PAGE, items: ENTRY },
        total: object(
          {
            entries: count("How many there are"),
            connections: count("Of all of them"),
            sessions: count("Of all of them"),
          },
          [],
          "FleetTotal",
        ),
        nextCursor: NEXT_CURSOR,
      },
      ["nextCursor"],
      "FleetPage",
    ),
  },
  problems: ["not_allowed"],
  target: () => "",
  async run({ tenant, query }, { fleet }) {
    if (tenant !== "") return refuse("not_allowed", "the fleet is no tenant's: use a key of the default tenant");
    const after = positionOf(FLEET_LIST, query.cursor);
    if (typeof after !== "number") return after;
    const { next, ...page } = fleet.list(after, query.limit ?? MAX_PAGE);
    return ok({ ...page, ...(next === undefined ? {} : { nextCursor: cursorOf(FLEET_LIST, next) }) });
  },
});
