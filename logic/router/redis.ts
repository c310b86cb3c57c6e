// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { defineScript, isAnswer, isOrdered, type RedisClient, type RedisCommand, runPipeline } from "#lib/redis.ts";
import { findSessions } from "./forget.ts";
import { Generations } from "./generations.ts";
import { inspectIncarnations } from "./inspect.ts";
import {
  indexKey,
  indexKeys,
  indexMember,
  leaseKey,
  parseRoute,
  ROUTE_VERSION,
  routeKey,
  routeTail,
  sessionPrefix,
  tombKey,
} from "./keys.ts";
import { LeaseCache } from "./lease-cache.ts";
import { purgeIncarnation } from "./purge.ts";
import type {
  Generation,
  Inspection,
  PurgeCount,
  Renewal,
  RenewalRequest,
  Route,
  Router,
  RouterLogin,
  SessionKey,
} from "./router.ts";

const login = defineScript(new URL("lua/login.lua", import.meta.url), 1);
const logout = defineScript(new URL("lua/logout.lua", import.meta.url), 1);
const renew = defineScript(new URL("lua/renew.lua", import.meta.url), 2 + indexKeys("").length);
const time = defineScript(new URL("lua/time.lua", import.meta.url), 1);
const fence = defineScript(new URL("lua/fence.lua", import.meta.url), 2);

const FENCED: RouterLogin = { kind: "fenced" };
const TOMB_TTL_S = 24 * 3600;
/** How long a fence waits for one replica. */
const WAIT_MS = 100;
/** Sessions per script where one server has all keys: a call costs as much as three of them, and 32 keep it for some 0.1 ms. */
const PER_SCRIPT = 32;
const INDEX_TTL_S = 7 * 24 * 3600;

/** Options of {@link RedisRouter}. */
export interface RedisRouterOptions {
  clock: Clock;
  /** Lease of an entry incarnation. Default 15,000. */
  leaseTtlMs?: number;
  /** How old the answer "this incarnation holds a lease" may be. Default 1,000; 0 asks every time. */
  liveCacheMs?: number;
}

/**
 * {@link Router} on one Redis, a master behind sentinels, or a Cluster. No script touches two hash tags; what crosses
 * them is idempotent steps in order: one pipeline where a single server keeps the order, one after the other in a Cluster.
 */
export class RedisRouter implements Router {
  readonly #redis: RedisClient;
  readonly #clock: Clock;
  readonly #leaseTtlMs: number;
  readonly #leases: LeaseCache;
  readonly #generations: Generations;

  constructor(redis: RedisClient, options: RedisRouterOptions) {
    this.#redis = redis;
    this.#clock = options.clock;
    this.#leaseTtlMs = options.leaseTtlMs ?? 15_000;
    this.#leases = new LeaseCache(options.clock, options.liveCacheMs ?? 1000);
    this.#generations = new Generations(redis);
  }

  /**
   * Index before route, so that the index never misses one; tombstones after it, so that a fence at any moment either
   * is seen here or finds the route in the index.
   */
  async login(routes: readonly Route[]): Promise<RouterLogin[]> {
    if (routes.length === 0) return [];
    const incarnations = [...new Set(routes.map((route) => route.incarnation))];
    const [indexed, stored, tombs] = await this.#loginSteps(routes, incarnations);
    const buried = new Map(incarnations.map((incarnation, at) => [incarnation, tombs[at]]));
    const outcomes = routes.map((route, at) =>
      loginOutcome(route, [indexed[at], buried.get(route.incarnation), stored[at]]),
    );
    const fenced = new Set(incarnations.filter((incarnation) => buried.get(incarnation) === 1));
    if (fenced.size === 0) return outcomes;
    const lost = await this.#undo(routes, fenced, outcomes);
    return routes.map((route, at): RouterLogin => {
      if (!fenced.has(route.incarnation)) return outcomes[at] ?? FENCED;
      const replaced = lost.get(at);
      return replaced ? { kind: "fenced", replaced } : FENCED;
    });
  }

  /** Replies of the index and of the routes, each by session, and of the tombstones. */
  async #loginSteps(
    routes: readonly Route[],
    incarnations: readonly string[],
  ): Promise<[unknown[], unknown[], unknown[]]> {
    const checks = incarnations.map((incarnation) => ["EXISTS", tombKey(incarnation)] as const);
    if (isOrdered(this.#redis)) {
      const adds = indexChanges("SADD", routes);
      const logins = inScripts(routes, loginScript, PER_SCRIPT);
      const replies = await runPipeline(this.#redis, [...adds.commands, ...logins, ...checks]);
      const [first, second] = [adds.commands.length, adds.commands.length + logins.length];
      const indexed = adds.commandOf.map((at) => replies[at]);
      return [indexed, ofEach(replies.slice(first, second), routes.length, PER_SCRIPT), replies.slice(second)];
    }
    const indexed = await runPipeline(
      this.#redis,
      routes.map((route) => ["SADD", ...indexEntry(route)]),
    );
    const stored: unknown[] = [...indexed];
    const chosen = [...indexed.keys()].filter((at) => isAnswer(indexed[at]));
    const replies = await this.#runScripts(
      chosen.map((at) => routes[at] as Route),
      loginScript,
    );
    for (const [index, at] of chosen.entries()) stored[at] = replies[index];
    return [indexed, stored, await runPipeline(this.#redis, checks)];
  }

  /** Route before index: an index entry without a route is harmless, a route that the index misses is not. */
  async logout(sessions: readonly SessionKey[]): Promise<boolean[]> {
    if (isOrdered(this.#redis)) {
      const deletes = inScripts(sessions, logoutScript, PER_SCRIPT);
      const replies = await runPipeline(this.#redis, [...deletes, ...indexChanges("SREM", sessions).commands]);
      return ofEach(replies, sessions.length, PER_SCRIPT).map((reply) => Number(reply) > 0);
    }
    const replies = await this.#runScripts(sessions, logoutScript);
    await runPipeline(
      this.#redis,
      sessions.filter((_, at) => isAnswer(replies[at])).map((session) => ["SREM", ...indexEntry(session)]),
    );
    // A route that could not be asked for counts as not deleted: it is found again when somebody writes to it.
    return replies.map((reply) => Number(reply) > 0);
  }

  /** The reply of each. A Cluster needs a script call for each, as every key may be elsewhere. */
  async #runScripts<T>(items: readonly T[], scriptOf: (items: readonly T[]) => RedisCommand): Promise<unknown[]> {
    const size = isOrdered(this.#redis) ? PER_SCRIPT : 1;
    return ofEach(await runPipeline(this.#redis, inScripts(items, scriptOf, size)), items.length, size);
  }

  async lookup(userIds: readonly string[]): Promise<Map<string, Route[]>> {
    if (userIds.length === 0) return new Map();
    const stale = this.#leases.stale();
    const replies = await runPipeline(this.#redis, [
      ...userIds.map((userId) => ["HGETALL", routeKey(userId)] as const),
      ...stale.map((incarnation) => ["EXISTS", leaseKey(incarnation)] as const),
    ]);
    stale.forEach((incarnation, at) => void this.#note(incarnation, replies[userIds.length + at]));
    const found = new Map<string, Route[]>();
    userIds.forEach((userId, at) => void found.set(userId, parseRoutes(userId, replies[at])));
    const unanswered = await this.#askUnknown(found);
    for (const [userId, routes] of found) {
      const live = routes.filter(({ incarnation }) => unanswered.has(incarnation) || this.#leases.isLive(incarnation));
      if (live.length > 0) found.set(userId, live);
      else found.delete(userId);
    }
    return found;
  }

  async stored(userIds: readonly string[]): Promise<Map<string, readonly Route[]>> {
    const replies = await runPipeline(
      this.#redis,
      userIds.map((userId) => ["HGETALL", routeKey(userId)] as const),
    );
    const answered = [...userIds.entries()].filter(([at]) => isAnswer(replies[at]));
    return new Map(answered.map(([at, userId]) => [userId, parseRoutes(userId, replies[at])]));
  }

  async leased(incarnations: readonly string[]): Promise<Map<string, boolean>> {
    const replies = await this.#askLeases(incarnations);
    const answered = [...incarnations.entries()].filter(([at, incarnation]) => this.#note(incarnation, replies[at]));
    return new Map(answered.map(([at, incarnation]) => [incarnation, replies[at] === 1]));
  }

  async renewLease(incarnation: string, { ageMs = 0, isWanted }: RenewalRequest = {}): Promise<Renewal> {
    const askedMs = this.#clock.nowMs() - ageMs;
    const [redisNowMs] = await runPipeline(this.#redis, [{ script: time, args: [leaseKey(incarnation)] }]);
    const askedAtRedisMs = expectNumber(redisNowMs) - (this.#clock.nowMs() - askedMs);
    if (isWanted?.() === false) return "late";
    const args = [
      tombKey(incarnation),
      leaseKey(incarnation),
      ...indexKeys(incarnation),
      Math.floor(askedAtRedisMs + this.#leaseTtlMs),
      this.#leaseTtlMs,
      INDEX_TTL_S,
    ];
    const [reply] = await runPipeline(this.#redis, [{ script: renew, args }]);
    const leftMs = expectNumber(reply);
    if (leftMs !== 0) this.#leases.set(incarnation, leftMs > 0);
    if (leftMs === 0) return "late";
    return leftMs > 0 ? "ok" : "fenced";
  }

  /** The tombstone is in SQL already; here it should survive a failover, which WAIT makes likely and no more. */
  async fence(incarnation: string): Promise<void> {
    const command = { script: fence, args: [tombKey(incarnation), leaseKey(incarnation), TOMB_TTL_S] };
    const [reply, info] = await runPipeline(this.#redis, [command, ["INFO", "replication"]]);
    expectNumber(reply);
    this.#leases.set(incarnation, false);
    const replicas = Number(/connected_slaves:(\d+)/.exec(String(info))?.[1] ?? 0);
    if (replicas > 0) await runPipeline(this.#redis, [command, ["WAIT", 1, WAIT_MS]]);
  }

  async purge(incarnation: string): Promise<PurgeCount> {
    return await purgeIncarnation(this.#redis, incarnation);
  }

  async inspect(incarnations: readonly string[]): Promise<Inspection[]> {
    return await inspectIncarnations(this.#redis, incarnations);
  }

  async forget(incarnation: string, conns: ReadonlySet<number>): Promise<number> {
    const deleted = await this.logout(await findSessions(this.#redis, incarnation, conns));
    return deleted.filter(Boolean).length;
  }

  async generation(): Promise<Generation> {
    return await this.#generations.read();
  }

  /**
   * A fenced incarnation logged in: takes its routes back and returns the slots to whom they were taken from. Returns those who did
   * not get theirs back, by index: for a moment the slot was free, and who came then knows of nobody to kick.
   */
  async #undo(
    routes: readonly Route[],
    fenced: ReadonlySet<string>,
    outcomes: readonly RouterLogin[],
  ): Promise<ReadonlyMap<number, Route>> {
    await this.logout(routes.filter((route) => fenced.has(route.incarnation)));
    const restored = routes.flatMap((route, at) => {
      const outcome = outcomes[at];
      const taken = fenced.has(route.incarnation) && outcome?.kind === "ok" ? outcome.replaced : undefined;
      return taken && !fenced.has(taken.incarnation) ? [{ at, taken }] : [];
    });
    const replies = await this.#runScripts(
      restored.map(({ taken }) => taken),
      loginScript,
    );
    return new Map(
      restored.flatMap(({ at, taken }, index) => (isRefused(replies[index]) ? [[at, taken] as const] : [])),
    );
  }

  /** Asks for incarnations never heard of; returns those about which there was no answer. They count as live: whoever is not there answers UNREACHABLE. */
  async #askUnknown(found: ReadonlyMap<string, readonly Route[]>): Promise<ReadonlySet<string>> {
    const unknown = new Set<string>();
    for (const routes of found.values())
      for (const { incarnation } of routes) if (!this.#leases.has(incarnation)) unknown.add(incarnation);
    const asked = [...unknown];
    const replies = await this.#askLeases(asked);
    return new Set(asked.filter((incarnation, at) => !this.#note(incarnation, replies[at])));
  }

  #askLeases(incarnations: readonly string[]): Promise<unknown[]> {
    return runPipeline(
      this.#redis,
      incarnations.map((incarnation) => ["EXISTS", leaseKey(incarnation)] as const),
    );
  }

  /** Takes the answer of EXISTS for a lease; false when there was none. */
  #note(incarnation: string, reply: unknown): boolean {
    if (typeof reply !== "number") return false;
    this.#leases.set(incarnation, reply === 1);
    return true;
  }
}

/** Key and member of a session in the reverse index. */
function indexEntry({ userId, incarnation, conn }: SessionKey): [string, string] {
  return [indexKey(incarnation, conn), indexMember(conn, userId)];
}

/** One command per shard of the index, and which of them each session is in. */
function indexChanges(
  name: "SADD" | "SREM",
  sessions: readonly SessionKey[],
): { commands: [string, ...string[]][]; commandOf: number[] } {
  const commands: [string, ...string[]][] = [];
  const commandOf: number[] = [];
  const atKey = new Map<string, number>();
  for (const session of sessions) {
    const [key, member] = indexEntry(session);
    const at = atKey.get(key) ?? commands.push([name, key]) - 1;
    atKey.set(key, at);
    commands[at]?.push(member);
    commandOf.push(at);
  }
  return { commands, commandOf };
}

function loginScript(routes: readonly Route[]): RedisCommand {
  const args: (string | number)[] = routes.map(({ userId }) => routeKey(userId));
  for (const { slot, incarnation, conn, loginSeq, deviceId } of routes)
    args.push(slot, sessionPrefix(incarnation, conn), loginSeq, routeTail(deviceId));
  return { script: login, keys: routes.length, args };
}

function logoutScript(sessions: readonly SessionKey[]): RedisCommand {
  const args: (string | number)[] = sessions.map(({ userId }) => routeKey(userId));
  args.push(ROUTE_VERSION);
  for (const { incarnation, conn } of sessions) args.push(sessionPrefix(incarnation, conn));
  return { script: logout, keys: sessions.length, args };
}

/** Script calls for all, `size` of them in each. */
function inScripts<T>(
  items: readonly T[],
  scriptOf: (items: readonly T[]) => RedisCommand,
  size: number,
): RedisCommand[] {
  const commands: RedisCommand[] = [];
  for (let at = 0; at < items.length; at += size) commands.push(scriptOf(items.slice(at, at + size)));
  return commands;
}

/** The reply of each of `count` items in script calls of `size`; where a call failed, all of its have the error. */
function ofEach(replies: readonly unknown[], count: number, size: number): unknown[] {
  return Array.from({ length: count }, (_, at) => {
    const reply = replies[Math.floor(at / size)];
    return Array.isArray(reply) ? (reply[at % size] as unknown) : reply;
  });
}

/** Said by login.lua: somebody else holds the slot. */
function isRefused(reply: unknown): boolean {
  return Array.isArray(reply) && reply[0] === 0;
}

/** `replies`: of the index, of the tombstone, of login.lua. */
function loginOutcome(route: Route, replies: readonly unknown[]): RouterLogin {
  const cause = replies.find((reply) => reply instanceof Error);
  if (cause) return { kind: "unknown", cause };
  const reply = replies.at(-1);
  if (!Array.isArray(reply)) throw new Error(`login.lua answered ${String(reply)}`);
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
