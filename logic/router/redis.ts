// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import { defineScript, type RedisClient, type RedisCommand, runPipeline } from "#lib/redis.ts";
import {
  GENERATION_KEY,
  indexKey,
  indexKeys,
  indexMember,
  leaseKey,
  parseRoute,
  routeKey,
  routeTail,
  sessionPrefix,
  tombKey,
} from "./keys.ts";
import { LeaseCache } from "./lease-cache.ts";
import { purgeIncarnation } from "./purge.ts";
import type { Generation, PurgeCount, Route, Router, RouterLogin, SessionKey } from "./router.ts";

const login = defineScript(new URL("lua/login.lua", import.meta.url), 1);
const logout = defineScript(new URL("lua/logout.lua", import.meta.url), 1);
const renew = defineScript(new URL("lua/renew.lua", import.meta.url), 2 + indexKeys("").length);
const fence = defineScript(new URL("lua/fence.lua", import.meta.url), 2);

const FENCED: RouterLogin = { kind: "fenced" };
const TOMB_TTL_S = 24 * 3600;
const INDEX_TTL_S = 7 * 24 * 3600;

/** Options of {@link RedisRouter}. */
export interface RedisRouterOptions {
  clock: Clock;
  /** Lease of an entry incarnation. Default 15,000. */
  leaseTtlMs?: number;
  /** How old the answer "this incarnation holds a lease" may be. Default 1,000; 0 asks every time. */
  liveCacheMs?: number;
}

/** {@link Router} on one Redis. No script touches two hash tags; what crosses them is idempotent steps in order. */
export class RedisRouter implements Router {
  readonly #redis: RedisClient;
  readonly #leaseTtlMs: number;
  readonly #leases: LeaseCache;

  constructor(redis: RedisClient, options: RedisRouterOptions) {
    this.#redis = redis;
    this.#leaseTtlMs = options.leaseTtlMs ?? 15_000;
    this.#leases = new LeaseCache(options.clock, options.liveCacheMs ?? 1000);
  }

  /**
   * Index before route, so that the index never misses one; tombstones after it, so that a fence at any moment either
   * is seen here or finds the route in the index.
   */
  async login(routes: readonly Route[]): Promise<RouterLogin[]> {
    if (routes.length === 0) return [];
    const incarnations = [...new Set(routes.map((route) => route.incarnation))];
    const replies = await runPipeline(this.#redis, [
      ...routes.map(indexAdd),
      ...routes.map(loginCommand),
      ...incarnations.map((incarnation) => ["EXISTS", tombKey(incarnation)] as const),
    ]);
    const outcomes = routes.map((route, at) => loginOutcome(route, replies[routes.length + at]));
    const fenced = new Set(incarnations.filter((_, at) => replies[2 * routes.length + at] === 1));
    if (fenced.size === 0) return outcomes;
    await this.#undo(routes, fenced, outcomes);
    return routes.map((route, at) => (fenced.has(route.incarnation) ? FENCED : (outcomes[at] ?? FENCED)));
  }

  async logout(sessions: readonly SessionKey[]): Promise<boolean[]> {
    const commands: RedisCommand[] = [];
    for (const { userId, incarnation, conn } of sessions) {
      commands.push({ script: logout, args: [routeKey(userId), sessionPrefix(incarnation, conn)] });
      commands.push(["SREM", indexKey(incarnation, conn), indexMember(conn, userId)]);
    }
    const replies = await runPipeline(this.#redis, commands);
    return sessions.map((_, at) => Number(replies[at * 2]) > 0);
  }

  async lookup(userIds: readonly string[]): Promise<Map<string, Route[]>> {
    if (userIds.length === 0) return new Map();
    const stale = this.#leases.stale();
    const replies = await runPipeline(this.#redis, [
      ...userIds.map((userId) => ["HGETALL", routeKey(userId)] as const),
      ...stale.map((incarnation) => ["EXISTS", leaseKey(incarnation)] as const),
    ]);
    stale.forEach((incarnation, at) => void this.#leases.set(incarnation, replies[userIds.length + at] === 1));
    const found = new Map<string, Route[]>();
    userIds.forEach((userId, at) => void found.set(userId, parseRoutes(userId, replies[at])));
    await this.#askUnknown(found);
    for (const [userId, routes] of found) {
      const live = routes.filter((route) => this.#leases.isLive(route.incarnation));
      if (live.length > 0) found.set(userId, live);
      else found.delete(userId);
    }
    return found;
  }

  async renewLease(incarnation: string): Promise<"ok" | "fenced"> {
    const args = [
      tombKey(incarnation),
      leaseKey(incarnation),
      ...indexKeys(incarnation),
      this.#leaseTtlMs,
      INDEX_TTL_S,
    ];
    const [reply] = await runPipeline(this.#redis, [{ script: renew, args }]);
    const isLive = expectNumber(reply) === 1;
    this.#leases.set(incarnation, isLive);
    return isLive ? "ok" : "fenced";
  }

  async fence(incarnation: string): Promise<void> {
    const args = [tombKey(incarnation), leaseKey(incarnation), TOMB_TTL_S];
    const [reply] = await runPipeline(this.#redis, [{ script: fence, args }]);
    expectNumber(reply);
    this.#leases.set(incarnation, false);
  }

  purge(incarnation: string): Promise<PurgeCount> {
    return purgeIncarnation(this.#redis, incarnation);
  }

  /** The key catches FLUSHALL and an empty restart, run_id a restart from an old dump. */
  async generation(): Promise<Generation> {
    const [made, key, info] = await runPipeline(this.#redis, [
      ["SET", GENERATION_KEY, randomUUID(), "NX"],
      ["GET", GENERATION_KEY],
      ["INFO", "server"],
    ]);
    const runId = /run_id:(\w+)/.exec(String(info))?.[1] ?? "";
    return { id: `${String(key)}/${runId}`, isNew: made === "OK" };
  }

  /** A fenced incarnation logged in: takes its routes back and returns the slots to whom they were taken from. */
  async #undo(routes: readonly Route[], fenced: ReadonlySet<string>, outcomes: readonly RouterLogin[]): Promise<void> {
    await this.logout(routes.filter((route) => fenced.has(route.incarnation)));
    const restored = routes.flatMap((route, at) => {
      const outcome = outcomes[at];
      const isTaken = fenced.has(route.incarnation) && outcome?.kind === "ok" && outcome.replaced;
      return isTaken ? [loginCommand(isTaken)] : [];
    });
    await runPipeline(this.#redis, restored);
  }

  async #askUnknown(found: ReadonlyMap<string, readonly Route[]>): Promise<void> {
    const unknown = new Set<string>();
    for (const routes of found.values())
      for (const { incarnation } of routes) if (!this.#leases.has(incarnation)) unknown.add(incarnation);
    const asked = [...unknown];
    const replies = await runPipeline(
      this.#redis,
      asked.map((incarnation) => ["EXISTS", leaseKey(incarnation)] as const),
    );
    asked.forEach((incarnation, at) => void this.#leases.set(incarnation, replies[at] === 1));
  }
}

function indexAdd({ userId, incarnation, conn }: Route): RedisCommand {
  return ["SADD", indexKey(incarnation, conn), indexMember(conn, userId)];
}

function loginCommand(route: Route): RedisCommand {
  const { userId, slot, incarnation, conn, loginSeq, deviceId } = route;
  return {
    script: login,
    args: [routeKey(userId), slot, sessionPrefix(incarnation, conn), loginSeq, routeTail(deviceId)],
  };
}

function loginOutcome(route: Route, reply: unknown): RouterLogin {
  if (!Array.isArray(reply)) throw reply instanceof Error ? reply : new Error(`login.lua answered ${String(reply)}`);
  const [isStored, old] = reply as [number, string | undefined];
  const parsed = old === undefined ? undefined : parseRoute(old);
  const other = parsed && { userId: route.userId, slot: route.slot, ...parsed };
  if (isStored === 1) return other ? { kind: "ok", replaced: other } : { kind: "ok" };
  return { kind: "stale", holder: other ?? route };
}

/** `reply`: flat slot, value, slot, value... A value of an unknown shape is somebody else's: not a route to us. */
function parseRoutes(userId: string, reply: unknown): Route[] {
  const flat = Array.isArray(reply) ? (reply as string[]) : [];
  const routes: Route[] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const parsed = parseRoute(flat[at + 1] ?? "");
    if (parsed) routes.push({ userId, slot: flat[at] ?? "", ...parsed });
  }
  return routes;
}

function expectNumber(reply: unknown): number {
  if (typeof reply === "number") return reply;
  throw reply instanceof Error ? reply : new Error(`unexpected reply ${String(reply)}`);
}
