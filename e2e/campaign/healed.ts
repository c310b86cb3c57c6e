// SPDX-License-Identifier: Apache-2.0
import { type HealedState, monotonicMs } from "../checker/history.ts";
import type { Person } from "./person.ts";
import type { RouterView } from "./router-view.ts";

/** Options of {@link waitHealed}. */
export interface HealedOptions {
  view: Pick<RouterView, "routes" | "backlog">;
  people: readonly Pick<Person, "uid" | "devices">[];
  healedAtMs: number;
  timeoutMs?: number;
  pollMs?: number;
}

type Sessions = HealedState["sessions"];

const TIMEOUT_MS = 45_000;
const POLL_MS = 250;

/**
 * Waits until routes are the open sessions exactly and no work is queued; resolves with what was there then, or when
 * the time is over with what is there: the checker judges. @throws when Redis does not answer
 */
export async function waitHealed(options: HealedOptions): Promise<HealedState> {
  const { view, healedAtMs, timeoutMs = TIMEOUT_MS, pollMs = POLL_MS } = options;
  const early = new Map((await view.backlog()).map(({ name, length }) => [name, length]));
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const [routes, late] = [await view.routes(), await view.backlog()];
    const sessions = openSessions(options.people);
    const isDrained = late.every(({ length }) => length === 0);
    if ((isDrained && isSame(routes, sessions)) || performance.now() > deadlineMs) {
      const backlog = late.map(({ name, length }) => ({
        name,
        earlyLength: early.get(name) ?? 0,
        lateLength: length,
      }));
      return { healedAtMs, readAtMs: monotonicMs(), backlog, routes, sessions };
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

function openSessions(people: HealedOptions["people"]): Sessions {
  return people.flatMap(({ uid, devices }) =>
    devices.flatMap(({ sid, slot }) => (sid === undefined ? [] : [{ uid, slot, session: sid }])),
  );
}

function isSame(routes: Sessions, sessions: Sessions): boolean {
  const key = ({ uid, slot, session }: Sessions[number]): string => `${uid}\0${slot}\0${session}`;
  const known = new Set(sessions.map(key));
  return routes.length === sessions.length && routes.every((route) => known.has(key(route)));
}
