// SPDX-License-Identifier: Apache-2.0
// What Redis says about sessions, leases and queues, read beside the fleet.
import { createRedis, type Redis, type RedisCommand, runPipeline, whenReady } from "#lib/redis.ts";
import { parseRoute } from "../../logic/router/keys.ts";

const READY_TIMEOUT_MS = 10_000;
const COMMAND_TIMEOUT_MS = 3000;
const SCAN_COUNT = 1000;
/** Kept for people, not worked off. */
const DEAD_LETTERS = /dead/;

/** A route that counts as online. */
export interface RouteView {
  uid: string;
  slot: string;
  /** As in the client's WELCOME. */
  session: string;
}

/** Any route, also one of an incarnation that is gone. */
export interface HeldRoute extends RouteView {
  incarnation: string;
}

/** Reads the Redis of a fleet, on all its masters. Faults of a call are thrown as they come. */
export class RouterView {
  readonly #masters: () => Promise<readonly string[]>;
  readonly #connections = new Map<string, Redis>();

  /** `masters`: `redis://` of every server that holds a part of the data now. */
  constructor(masters: () => Promise<readonly string[]>) {
    this.#masters = masters;
  }

  /** Incarnation to the time its lease still has, ms. */
  async leases(): Promise<Map<string, number>> {
    const leases = new Map<string, number>();
    for (const { key, reply } of await this.#ask("lease:{*}", (name) => ["PTTL", name])) {
      const leftMs = Number(reply);
      if (leftMs > 0) leases.set(key.slice("lease:{".length, -1), leftMs);
    }
    return leases;
  }

  /** Routes whose incarnation holds a lease. */
  async routes(): Promise<RouteView[]> {
    const live = await this.leases();
    const routes = (await this.allRoutes()).filter(({ incarnation }) => live.has(incarnation));
    return routes.map(({ uid, slot, session }) => ({ uid, slot, session }));
  }

  /** Every route, whether its incarnation lives or not. */
  async allRoutes(): Promise<HeldRoute[]> {
    const routes: HeldRoute[] = [];
    for (const { key, reply } of await this.#ask("r:{*}", (name) => ["HGETALL", name])) {
      const fields = (reply ?? []) as string[];
      for (let i = 0; i + 1 < fields.length; i += 2) {
        const route = parseRoute(fields[i + 1] ?? "");
        if (!route) continue;
        const { incarnation, conn } = route;
        const base = { uid: key.slice("r:{".length, -1), slot: fields[i] ?? "" };
        routes.push({ ...base, session: `${incarnation}/${conn}`, incarnation });
      }
    }
    return routes;
  }

  /** Forgets everything, as FLUSHALL does. */
  async flush(): Promise<void> {
    for (const url of await this.#masters()) await runPipeline(await this.#connection(url), [["FLUSHALL"]]);
  }

  /** Streams of work and how much is in each: not yet read, or read and not acknowledged. Dead letters apart. */
  async backlog(): Promise<{ name: string; length: number }[]> {
    return (await this.#streams()).filter(({ name }) => !DEAD_LETTERS.test(name));
  }

  async deadLetters(): Promise<number> {
    const dead = (await this.#streams()).filter(({ name }) => DEAD_LETTERS.test(name));
    return dead.reduce((sum, { length }) => sum + length, 0);
  }

  async #streams(): Promise<{ name: string; length: number }[]> {
    const replies = await this.#ask("*", (name) => ["XLEN", name], "stream");
    return replies.map(({ key, reply }) => ({ name: key, length: Number(reply) }));
  }

  /** Asks the same about every key that matches; what vanished in between answers as if it were empty. */
  async #ask(
    pattern: string,
    command: (key: string) => RedisCommand,
    type?: string,
  ): Promise<{ key: string; reply: unknown }[]> {
    const answers: { key: string; reply: unknown }[] = [];
    for (const url of await this.#masters()) {
      const redis = await this.#connection(url);
      const keys = await scan(redis, pattern, type);
      const replies = await runPipeline(redis, keys.map(command));
      for (const [at, key] of keys.entries()) answers.push({ key, reply: replies[at] });
    }
    return answers;
  }

  async #connection(url: string): Promise<Redis> {
    const redis =
      this.#connections.get(url) ?? createRedis(url, { name: "campaign", commandTimeoutMs: COMMAND_TIMEOUT_MS });
    this.#connections.set(url, redis);
    if (!(await whenReady(redis, READY_TIMEOUT_MS))) throw new Error(`${url} does not answer the campaign`);
    return redis;
  }

  close(): void {
    for (const redis of this.#connections.values()) redis.disconnect();
  }
}

async function scan(redis: Redis, pattern: string, type?: string): Promise<string[]> {
  const keys = new Set<string>();
  const filter = type === undefined ? [] : ["TYPE", type];
  let cursor = "0";
  do {
    const [reply] = await runPipeline(redis, [["SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT, ...filter]]);
    if (reply instanceof Error) throw reply;
    const [next, page] = reply as [string, string[]];
    for (const key of page) keys.add(key);
    cursor = next;
  } while (cursor !== "0");
  return [...keys];
}
