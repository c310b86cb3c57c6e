// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#lib/clock.ts";
import { createRedis, type Redis } from "#lib/redis.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { type RedisServer, startRedis } from "../../e2e/harness/redis.ts";
import { indexKeys, leaseKey, routeKey, tombKey } from "./keys.ts";
import { MemoryRouter } from "./memory.ts";
import { RedisRouter } from "./redis.ts";
import type { Route, Router, SessionKey } from "./router.ts";

/** Random sequences compared with the model; IM_ROUTER_SEQUENCES=50000 for the long run. */
const SEQUENCES = Number(process.env.IM_ROUTER_SEQUENCES ?? 4000);
/** Sequences that run side by side, each on names of its own. */
const LANES = 40;
const LEASE_MS = 15_000;

const USERS = ["u1", "u2"] as const;
const INCARNATIONS = ["a.1", "a.2", "b.1"] as const;
const userId = fc.constantFrom(...USERS);
const incarnation = fc.constantFrom(...INCARNATIONS);
const conn = fc.integer({ min: 1, max: 3 });
const session = fc.record({ userId, incarnation, conn }, { noNullPrototype: true });
const route = fc.record(
  {
    userId,
    slot: fc.constantFrom("mobile", "web"),
    incarnation,
    conn,
    loginSeq: fc.integer({ min: 1, max: 12 }),
    deviceId: fc.constantFrom("d", ";1;", "设备"),
  },
  { noNullPrototype: true },
);

/** Either of one incarnation, or one per user: what a refused login touches for a moment shows within its batch. */
const batch: fc.Arbitrary<Route[]> = fc.oneof(
  fc
    .tuple(incarnation, fc.array(route, { minLength: 1, maxLength: 4 }))
    .map(([one, routes]) => routes.map((each) => ({ ...each, incarnation: one }))),
  fc.uniqueArray(route, { minLength: 1, maxLength: 4, selector: (one) => one.userId }),
);

type Step =
  | { op: "login"; routes: Route[] }
  | { op: "logout"; sessions: SessionKey[] }
  | { op: "renew" | "fence" | "purge"; incarnation: string }
  | { op: "lapse" | "flush" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: batch.map((routes): Step => ({ op: "login", routes })),
  },
  {
    weight: 2,
    arbitrary: fc.array(session, { minLength: 1, maxLength: 2 }).map((sessions): Step => ({ op: "logout", sessions })),
  },
  { weight: 3, arbitrary: incarnation.map((one): Step => ({ op: "renew", incarnation: one })) },
  { weight: 1, arbitrary: incarnation.map((one): Step => ({ op: "fence", incarnation: one })) },
  { weight: 1, arbitrary: incarnation.map((one): Step => ({ op: "purge", incarnation: one })) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ op: "lapse" }, { op: "flush" }) },
);
const sequence = fc.array(step, { minLength: 1, maxLength: 10 });

let server: RedisServer;
let redis: Redis;
let lanes = 0;

before(async () => {
  server = await startRedis();
  redis = createRedis(server.url, { name: "test", commandTimeoutMs: 20_000 });
  await waitUntil("the client is connected", () => redis.status === "ready", 5000);
});

after(async () => {
  redis.disconnect();
  await server.stop();
});

/** Both routers, with one step done to each, on names that no other sequence uses. */
class Lane {
  readonly #name = `${lanes++}.`;
  readonly #clock = new FakeClock();
  readonly model = new MemoryRouter(this.#clock, LEASE_MS);
  readonly real = new RedisRouter(redis, { clock: this.#clock, leaseTtlMs: 3_600_000, liveCacheMs: 0 });

  async run(steps: readonly Step[]): Promise<void> {
    for (const [at, one] of steps.entries()) {
      const where = `step ${at}: ${JSON.stringify(one)}`;
      const own = this.#rename(one);
      const [real, model] = [await this.#do(own, this.real), await this.#do(own, this.model)];
      assert.deepEqual(real, model, where);
      assert.deepEqual(await this.#view(this.real), await this.#view(this.model), `view after ${where}`);
    }
    await redis.del(...this.#keys());
  }

  async #do(one: Step, router: RedisRouter | MemoryRouter): Promise<unknown> {
    switch (one.op) {
      case "login":
        return router.login(one.routes);
      case "logout":
        return router.logout(one.sessions);
      case "renew":
        return router.renewLease(one.incarnation);
      case "fence":
        return router.fence(one.incarnation);
      case "purge":
        // How many is the model's guess: an index entry may be gone before its route.
        return (await router.purge(one.incarnation)).remaining;
      case "lapse":
        if (router === this.model) this.#clock.advance(LEASE_MS + 1);
        else await redis.del(...INCARNATIONS.map((name) => leaseKey(this.#name + name)));
        return undefined;
      case "flush":
        if (router instanceof MemoryRouter) router.flush();
        else await redis.del(...this.#keys());
        return undefined;
    }
  }

  #keys(): string[] {
    const incarnations = INCARNATIONS.map((name) => this.#name + name);
    const users = USERS.map((name) => routeKey(this.#name + name));
    return [...users, ...incarnations.flatMap((name) => [leaseKey(name), tombKey(name), ...indexKeys(name)])];
  }

  #rename(one: Step): Step {
    const own = <T extends { userId: string; incarnation: string }>(item: T): T => ({
      ...item,
      userId: this.#name + item.userId,
      incarnation: this.#name + item.incarnation,
    });
    if (one.op === "login") return { op: "login", routes: one.routes.map(own) };
    if (one.op === "logout") return { op: "logout", sessions: one.sessions.map(own) };
    return "incarnation" in one ? { ...one, incarnation: this.#name + one.incarnation } : one;
  }

  async #view(router: Router): Promise<unknown> {
    const users = USERS.map((name) => this.#name + name);
    const found = await router.lookup(users);
    return users.map((user) =>
      (found.get(user) ?? []).map((one) => JSON.stringify(one, Object.keys(one).sort())).sort(),
    );
  }
}

describe("router on Redis and its model", () => {
  it(`agree on ${SEQUENCES} random sequences of operations`, { timeout: 3_600_000 }, async () => {
    let done = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(sequence, { minLength: LANES, maxLength: LANES }), async (sequences) => {
        await Promise.all(sequences.map((steps) => new Lane().run(steps)));
        done += sequences.length;
      }),
      { numRuns: Math.ceil(SEQUENCES / LANES) },
    );
    console.log(JSON.stringify({ sequences: done }));
    assert.equal(await redis.dbsize(), 0, "every lane cleans up after itself");
  });
});
