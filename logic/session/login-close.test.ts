// SPDX-License-Identifier: Apache-2.0
// A login whose connection, or whose whole stream, ends at any of its steps leaves no route behind.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { composeLogic } from "../compose.ts";
import { MemoryAckWheel } from "../deliver/ack-wheel-memory.ts";
import { loginBody, waitUntil, wireEntry } from "../entry-kit.ts";
import { unreadMetrics } from "../metrics.ts";
import { MemoryRouter } from "../router/memory.ts";
import { message } from "../store/contract/fixture.ts";
import { MemoryStore } from "../store/memory.ts";

const STEPS = ["token", "device", "route", "heads", "page"] as const;
type Step = (typeof STEPS)[number];
/** Before the step's work is done, or when only its answer is on its way. */
type Side = "before" | "after";

async function setUp() {
  const clock = new FakeClock();
  const store = new MemoryStore();
  await store.append(["alice", "bob"].map((peer) => message({ sender: "carol", peer })));
  const router = new MemoryRouter(clock, 1e9);
  let held: { step: Step; side: Side; reached: () => void; until: Promise<void> } | undefined;
  const at = async <T>(step: Step, work: () => Promise<T>): Promise<T> => {
    const hold = async (side: Side): Promise<void> => {
      if (held?.step !== step || held.side !== side) return;
      const { reached, until } = held;
      held = undefined;
      reached();
      await until;
    };
    await hold("before");
    const result = await work();
    await hold("after");
    return result;
  };
  const [login, inboxHeads, readInbox] = [
    store.login.bind(store),
    store.inboxHeads.bind(store),
    store.readInbox.bind(store),
  ];
  const setRoutes = router.login.bind(router);
  store.login = (input) => at("device", () => login(input));
  store.inboxHeads = (userIds) => at("heads", () => inboxHeads(userIds));
  store.readInbox = (request) => at("page", () => readInbox(request));
  router.login = (routes) => at("route", () => setRoutes(routes));
  const verdict = { kind: "ok", tokenId: "", issuedAtMs: 0, expiresAtMs: 0 } as const;
  const core = composeLogic({
    ...{ wheel: new MemoryAckWheel(clock, () => undefined), ackTimeoutMs: 5000, store, router },
    intents: { append: async (intents) => intents.length },
    tokens: { verify: (userId) => at("token", async () => ({ ...verdict, userId })) },
    ...{ name: "logic", leaseTtlMs: 15_000, pingIntervalMs: 30_000, maxLingerMs: 0 },
    gap: { maxEvents: 2000, maxAgeMs: 1e9 },
    ...{ clock, random: () => 0.5, defer: setImmediate, onFault: () => undefined },
    ...{ log: silentLogger, metrics: unreadMetrics() },
  });
  const pause = (step: Step, side: Side) => {
    const reached = Promise.withResolvers<void>();
    const until = Promise.withResolvers<void>();
    held = { step, side, reached: reached.resolve, until: until.promise };
    return { reached: reached.promise, go: until.resolve };
  };
  const entry = (podUid: string) => wireEntry(podUid, (uplink) => core.server.accept(uplink));
  return { core, router, entry, pause };
}

const ends = {
  "its connection closes": "conn",
  "its connection closes and the stream ends": "both",
  "the stream ends": "stream",
} as const;

describe("a login leaves no route", () => {
  for (const [what, end] of Object.entries(ends))
    for (const step of STEPS)
      for (const side of ["before", "after"] as const) {
        it(`when ${what} ${side} its ${step} step`, async () => {
          const { core, router, entry, pause } = await setUp();
          const [mine, other] = [entry("pod-a"), entry("pod-b")];
          assert.ok((await mine.attach()) && (await other.attach()));
          const bystander = await other.login(9, "bob");
          assert.ok(bystander.kind === "ok");
          const paused = pause(step, side);
          mine.send({ kind: RecordKind.LOGIN, conn: 1, rid: 1, body: loginBody("alice") });
          await paused.reached;
          if (end !== "stream") mine.send({ kind: RecordKind.CLOSED, conn: 1 });
          await new Promise((resolve) => setImmediate(resolve));
          if (end !== "conn") mine.close();
          await new Promise((resolve) => setImmediate(resolve));
          paused.go();
          await waitUntil("nothing is under way", () => core.isIdle());
          const found = await router.lookup(["alice", "bob"]);
          assert.deepEqual([...found.keys()], ["bob"]);
          assert.equal(mine.waiting(RecordKind.LOGIN_OK).length, 0);
        });

        it(`when ${what} ${side} its ${step} step, and takes none of a login that came meanwhile`, async () => {
          const { core, router, entry, pause } = await setUp();
          const [mine, other] = [entry("pod-a"), entry("pod-b")];
          assert.ok((await mine.attach()) && (await other.attach()));
          const paused = pause(step, side);
          mine.send({ kind: RecordKind.LOGIN, conn: 1, rid: 1, body: loginBody("alice") });
          await paused.reached;
          if (end !== "stream") mine.send({ kind: RecordKind.CLOSED, conn: 1 });
          await new Promise((resolve) => setImmediate(resolve));
          if (end !== "conn") mine.close();
          const login = other.login(2, "alice");
          await new Promise((resolve) => setTimeout(resolve, 5));
          paused.go();
          await login;
          await waitUntil("nothing is under way", () => core.isIdle());
          const routes = (await router.lookup(["alice"])).get("alice") ?? [];
          // The dead one may have been the newer login: then it gave the slot back; it never keeps it.
          for (const { incarnation } of routes) assert.equal(incarnation, other.incarnation);
        });
      }
});
