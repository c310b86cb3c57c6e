// SPDX-License-Identifier: Apache-2.0
import type { HealedState } from "./history.ts";
import type { IndexedHistory } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

/** Another device took the slot. */
const KICKED = 4520;
/** Kicks that a fault delayed have come by then. */
const UNREST_MS = 25_000;
/** A queue may hold this much when a run ends, whatever is being sent. */
const BACKLOG_ALLOWED = 0;

/** C13: after the heal queues do not grow, and routes are the live sessions exactly. O(n). */
export function checkLiveness(index: IndexedHistory, healed: HealedState, report: Report): void {
  const violate = reporter("C13", report);
  const quietMs = healed.healedAtMs + UNREST_MS;
  for (const event of index.others)
    if (event.op === "session" && event.kind === "close" && event.code === KICKED)
      if (event.atMs > quietMs && event.atMs < healed.readAtMs)
        violate(
          "still kicking",
          `${event.sid} of ${event.uid} was kicked long after the heal: nobody logs in by itself`,
        );
  for (const { name, earlyLength, lateLength } of healed.backlog)
    if (lateLength > BACKLOG_ALLOWED && lateLength >= earlyLength)
      violate("backlog", `${name} has ${lateLength} entries some time after the heal, and had ${earlyLength} before`);
  const key = (one: { uid: string; slot: string; session: string }): string =>
    `${one.uid}/${one.slot} at ${one.session}`;
  const routes = new Set(healed.routes.map(key));
  const sessions = new Set(healed.sessions.map(key));
  for (const session of sessions) if (!routes.has(session)) violate("no route", `the session ${session} has no route`);
  for (const route of routes) if (!sessions.has(route)) violate("ghost route", `the route ${route} has no session`);
}
