// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Clock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import type { Tracer } from "#lib/tracing/tracer.ts";
import { composeLogic, type LogicCore } from "./compose.ts";
import { MemoryAckWheel } from "./deliver/ack-wheel-memory.ts";
import { type TestEntry, wireEntry } from "./entry-kit.ts";
import { unreadMetrics } from "./metrics.ts";
import { MemoryRouter } from "./router/memory.ts";
import type { Store } from "./store/store.ts";

/** Two logics on one database and one router, and one entry process with a stream to each. */
export interface TwoLogics {
  toFirst: TestEntry;
  toSecond: TestEntry;
  close(): void;
}

/** @param stores each logic's own view of the database; tokens are the user ids */
export async function startTwoLogics(
  clock: Clock,
  stores: readonly [Store, Store],
  tracer?: Tracer,
): Promise<TwoLogics> {
  const router = new MemoryRouter(clock, 1e9);
  const logic = async (name: string, store: Store): Promise<LogicCore> => {
    const core = composeLogic({
      wheel: new MemoryAckWheel(clock, () => undefined),
      ackTimeoutMs: 5000,
      store,
      router,
      intents: { append: async (intents) => intents.length },
      tokens: { verify: async (userId) => ({ kind: "ok", userId, tokenId: "", issuedAtMs: 0, expiresAtMs: 0 }) },
      name,
      leaseTtlMs: 15_000,
      pingIntervalMs: 30_000,
      maxLingerMs: 0,
      gap: { maxEvents: 2000, maxAgeMs: 30 * 86_400_000 },
      clock,
      random: () => 0.5,
      defer: setImmediate,
      onFault: () => undefined,
      log: silentLogger,
      metrics: unreadMetrics(),
      tracer,
    });
    await core.start();
    return core;
  };
  const [first, second] = [await logic("first", stores[0]), await logic("second", stores[1])];
  const toFirst = wireEntry("pod", (uplink) => first.server.accept(uplink));
  const toSecond = wireEntry("pod", (uplink) => second.server.accept(uplink));
  assert.ok(await toFirst.attach());
  assert.ok(await toSecond.attach(toFirst.incarnation));
  const close = (): void => {
    for (const core of [first, second]) core.close();
  };
  return { toFirst, toSecond, close };
}
