// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Route, Router, SessionKey } from "../router/router.ts";

/** How old a remembered answer of the router may be. */
export const ROUTE_MAX_AGE_MS = 1000;
const MAX_USERS = 50_000;

/** Options of {@link RouteCache}. */
export interface RouteCacheOptions {
  router: Pick<Router, "lookup" | "login" | "logout">;
  clock: Clock;
  /** Users remembered; beyond it the oldest answers go. Default 50,000. */
  maxUsers?: number;
}

interface Known {
  readonly routes: readonly Route[];
  readonly askedAtMs: number;
}

/**
 * Routes of users who are written to all the time: asked for once per second instead of once per message. Only what
 * can be wrong without harm is remembered: that somebody is online. A route that is gone comes back as UNREACHABLE and
 * is asked for anew; changes made through this process are forgotten at once; a session that logged in elsewhere is
 * told its head when all answers from before its login are too old (see LateHeads). "Nobody there" is never remembered.
 */
export class RouteCache {
  readonly #router: RouteCacheOptions["router"];
  readonly #clock: Clock;
  readonly #maxUsers: number;
  /** In the order of their answers. */
  readonly #known = new Map<string, Known>();
  /** Users whose routes changed while a lookup was on its way: its answer may be from before. */
  readonly #changed = new Set<string>();
  #lookups = 0;

  constructor(options: RouteCacheOptions) {
    this.#router = options.router;
    this.#clock = options.clock;
    this.#maxUsers = options.maxUsers ?? MAX_USERS;
  }

  /** Users remembered, fresh or not. */
  get size(): number {
    return this.#known.size;
  }

  /** Where the user was online less than {@link ROUTE_MAX_AGE_MS} ago; undefined = ask with {@link lookup}. */
  fresh(userId: string): readonly Route[] | undefined {
    const known = this.#known.get(userId);
    if (!known) return undefined;
    if (this.#clock.nowMs() - known.askedAtMs < ROUTE_MAX_AGE_MS) return known.routes;
    this.#known.delete(userId);
    return undefined;
  }

  /** Asks the router for those it does not know; users without a route are absent. Rejects as the router does. */
  async lookup(userIds: readonly string[]): Promise<Map<string, readonly Route[]>> {
    const found = new Map<string, readonly Route[]>();
    const asked: string[] = [];
    for (const userId of userIds) {
      const routes = this.fresh(userId);
      if (routes) found.set(userId, routes);
      else asked.push(userId);
    }
    if (asked.length === 0) return found;
    const askedAtMs = this.#clock.nowMs();
    this.#lookups++;
    try {
      for (const [userId, routes] of await this.#router.lookup(asked)) {
        found.set(userId, routes);
        if (!this.#changed.has(userId)) this.#remember(userId, { routes, askedAtMs });
      }
    } finally {
      this.#lookups--;
      if (this.#lookups === 0) this.#changed.clear();
    }
    return found;
  }

  /** The user's routes are not what they were. */
  forget(userId: string): void {
    this.#known.delete(userId);
    if (this.#lookups > 0) this.#changed.add(userId);
  }

  /** An incarnation is dead: nobody is there any more. */
  gone(incarnation: string): void {
    for (const [userId, { routes }] of this.#known)
      if (routes.some((route) => route.incarnation === incarnation)) this.forget(userId);
  }

  /** The router, for those who change it: what they change is forgotten, before and after. */
  get changes(): Pick<Router, "login" | "logout"> {
    return {
      login: (routes) => this.#changing(routes, () => this.#router.login(routes)),
      logout: (sessions) => this.#changing(sessions, () => this.#router.logout(sessions)),
    };
  }

  async #changing<T>(sessions: readonly Pick<SessionKey, "userId">[], change: () => Promise<T>): Promise<T> {
    for (const { userId } of sessions) this.forget(userId);
    try {
      return await change();
    } finally {
      for (const { userId } of sessions) this.forget(userId);
    }
  }

  #remember(userId: string, known: Known): void {
    this.#known.delete(userId);
    this.#known.set(userId, known);
    if (this.#known.size <= this.#maxUsers) return;
    const oldest = this.#known.keys().next();
    if (!oldest.done) this.#known.delete(oldest.value);
  }
}
