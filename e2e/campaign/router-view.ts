// SPDX-License-Identifier: Apache-2.0
// What Redis says about sessions, leases and queues, read beside the fleet.
import { createRedis, type Redis, runPipeline, whenReady } from "#lib/redis.ts";
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

/** Reads the Redis of a fleet. Faults of a call are thrown as they come. */
export class RouterView {
  readonly #redis: Redis;

  constructor(url: string) {
    this.#redis = createRedis(url, { name: "campaign", commandTimeoutMs: COMMAND_TIMEOUT_MS });
  }

  async ready(): Promise<void> {
    if (!(await whenReady(this.#redis, READY_TIMEOUT_MS))) throw new Error("Redis does not answer the campaign");
  }

  /** Incarnation to the time its lease still has, ms. */
  async leases(): Promise<Map<string, number>> {
    const keys = await this.#keys("lease:{*}");
    const replies = await runPipeline(
      this.#redis,
      keys.map((key) => ["PTTL", key] as const),
    );
    const leases = new Map<string, number>();
    for (const [at, key] of keys.entries()) {
      const leftMs = Number(replies[at]);
      if (leftMs > 0) leases.set(key.slice("lease:{".length, -1), leftMs);
    }
    return leases;
  }

  /** Routes whose incarnation holds a lease. */
  async routes(): Promise<RouteView[]> {
    const live = await this.leases();
    const keys = await this.#keys("r:{*}");
    const replies = await runPipeline(
      this.#redis,
      keys.map((key) => ["HGETALL", key] as const),
    );
    const routes: RouteView[] = [];
    for (const [at, key] of keys.entries()) {
      const fields = (replies[at] ?? []) as string[];
      for (let i = 0; i + 1 < fields.length; i += 2) {
        const route = parseRoute(fields[i + 1] ?? "");
        if (!route || !live.has(route.incarnation)) continue;
        const session = `${route.incarnation}/${route.conn}`;
        routes.push({ uid: key.slice("r:{".length, -1), slot: fields[i] ?? "", session });
      }
    }
    return routes;
  }

  /** Streams of work and how much is in each: not yet read, or read and not acknowledged. Dead letters apart. */
  async backlog(): Promise<{ name: string; length: number }[]> {
    const found: { name: string; length: number }[] = [];
    for (const name of await this.#keys("*", "stream")) {
      if (DEAD_LETTERS.test(name)) continue;
      const [length] = await runPipeline(this.#redis, [["XLEN", name]]);
      found.push({ name, length: Number(length) });
    }
    return found;
  }

  async deadLetters(): Promise<number> {
    let count = 0;
    for (const name of await this.#keys("*", "stream")) {
      if (!DEAD_LETTERS.test(name)) continue;
      const [length] = await runPipeline(this.#redis, [["XLEN", name]]);
      count += Number(length);
    }
    return count;
  }

  async #keys(pattern: string, type?: string): Promise<string[]> {
    const keys = new Set<string>();
    let cursor = "0";
    do {
      const filter = type === undefined ? [] : ["TYPE", type];
      const [reply] = await runPipeline(this.#redis, [
        ["SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT, ...filter],
      ]);
      if (reply instanceof Error) throw reply;
      const [next, page] = reply as [string, string[]];
      for (const key of page) keys.add(key);
      cursor = next;
    } while (cursor !== "0");
    return [...keys];
  }

  close(): void {
    this.#redis.disconnect();
  }
}
