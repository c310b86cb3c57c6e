// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Route, Router, SessionKey } from "../router/router.ts";
import type { Defer } from "../tick-batch.ts";

/** How old a remembered answer of the router may be. */
export const ROUTE_MAX_AGE_MS = 1000;
/** In use and older than this: asked for again in the background, so that a busy user is never waited for. */
const REFRESH_AGE_MS = ROUTE_MAX_AGE_MS / 2;
/** Users to be asked for again are gathered for so long. */
const REFRESH_DELAY_MS = 50;
const MAX_REFRESH = 1000;
const MAX_USERS = 50_000;

/** Options of {@link RouteCache}. */
export interface RouteCacheOptions {
  router: Pick<Router, "lookup" | "login" | "logout">;
  clock: Clock;
  /** A refresh in the background failed: the answers get too old, and the next lookup asks again. */
  onFault: (op: string, error: unknown) => void;
  /** Users remembered; beyond it the oldest answers go. Default 50,000. */
  maxUsers?: number;
  /** Default setImmediate. */
  defer?: Defer | undefined;
}

interface Known {
  readonly routes: readonly Route[];
  readonly askedAtMs: number;
}

/**
 * Routes of users who are written to all the time: asked for twice per second, many users at once, instead of once per
 * message; nobody waits for that. Only what
 * can be wrong without harm is remembered: that somebody is online. A route that is gone comes back as UNREACHABLE and
 * is asked for anew; changes made through this process are forgotten at once; a session that logged in elsewhere is
 * told its head when all answers from before its login are too old (see LateHeads). "Nobody there" is never remembered.
 */
export class RouteCache {
  readonly #router: RouteCacheOptions["router"];
  readonly #clock: Clock;
  readonly #onFault: RouteCacheOptions["onFault"];
  readonly #maxUsers: number;
  readonly #defer: Defer;
  /** In the order of their answers. */
  readonly #known = new Map<string, Known>();
  /** Users whose routes changed while a lookup was on its way: its answer may be from before. */
  readonly #changed = new Set<string>();
  #lookups = 0;
  readonly #stale = new Set<string>();
  #cancelRefresh: (() => void) | undefined;
  /** Somebody is expected since the last question. */
  #isExpected = false;
  #isAsking = false;
  #isClosed = false;

  constructor(options: RouteCacheOptions) {
    this.#router = options.router;
    this.#clock = options.clock;
    this.#onFault = options.onFault;
    this.#maxUsers = options.maxUsers ?? MAX_USERS;
    this.#defer = options.defer ?? setImmediate;
  }

  /** Users remembered, fresh or not. */
  get size(): number {
    return this.#known.size;
  }

  /** Where the user was online less than {@link ROUTE_MAX_AGE_MS} ago; undefined = ask with {@link lookup}. */
  fresh(userId: string, nowMs: number = this.#clock.nowMs()): readonly Route[] | undefined {
    const known = this.#known.get(userId);
    if (!known) return undefined;
    const ageMs = nowMs - known.askedAtMs;
    if (ageMs >= ROUTE_MAX_AGE_MS) {
      this.#known.delete(userId);
      return undefined;
    }
    if (ageMs >= REFRESH_AGE_MS) this.#refreshSoon(userId);
    return known.routes;
  }

  /**
   * The user is about to be written to. Who was online lately is asked for at once, many together, while the message is being stored: it
   * leaves with its acknowledgement then, and not a question later.
   */
  expect(userId: string): void {
    const known = this.#known.get(userId);
    if (!known || this.#clock.nowMs() - known.askedAtMs < ROUTE_MAX_AGE_MS) return;
    if (this.#stale.size < MAX_REFRESH) this.#stale.add(userId);
    this.#isExpected = true;
    if (this.#isAsking || this.#isClosed) return;
    this.#isAsking = true;
    this.#defer(() => void this.#askExpected());
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
    for (const [userId, routes] of await this.#ask(asked)) found.set(userId, routes);
    return found;
  }

  /** Remembers what the router answers, unless a change overtook it. */
  async #ask(userIds: readonly string[]): Promise<Map<string, Route[]>> {
    const askedAtMs = this.#clock.nowMs();
    this.#lookups++;
    try {
      const answers = await this.#router.lookup(userIds);
      for (const userId of userIds) {
        const routes = answers.get(userId);
        if (!routes) this.#known.delete(userId);
        else if (!this.#changed.has(userId)) this.#remember(userId, { routes, askedAtMs });
      }
      return answers;
    } finally {
      this.#lookups--;
      if (this.#lookups === 0) this.#changed.clear();
    }
  }

  #refreshSoon(userId: string): void {
    if (this.#stale.size < MAX_REFRESH) this.#stale.add(userId);
    if (this.#isClosed) return;
    this.#cancelRefresh ??= this.#clock.after(REFRESH_DELAY_MS, () => void this.#refresh());
  }

  async #refresh(): Promise<void> {
    await this.#askStale();
    this.#cancelRefresh = undefined;
  }

  /** One question at a time: what comes up meanwhile goes together. */
  async #askExpected(): Promise<void> {
    while (this.#isExpected) {
      this.#isExpected = false;
      await this.#askStale();
    }
    this.#isAsking = false;
  }

  async #askStale(): Promise<void> {
    const stale = [...this.#stale];
    this.#stale.clear();
    if (stale.length === 0) return;
    try {
      await this.#ask(stale);
    } catch (error) {
      this.#onFault("refresh", error);
    }
  }

  /** Releases the timer. */
  close(): void {
    this.#isClosed = true;
    this.#cancelRefresh?.();
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
