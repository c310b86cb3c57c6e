// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { silentLogger } from "#lib/logger.ts";
import { composeLogic } from "./compose.ts";
import { LEASE_TTL_MS, type LogicHarness, type TokenOptions } from "./contract/kit.ts";
import { logicContract, tenantContract } from "./contract/logic.contract.ts";
import { MemoryAckWheel } from "./deliver/ack-wheel-memory.ts";
import type { PushIntent } from "./deliver/offline.ts";
import { wireEntry } from "./entry-kit.ts";
import { purgeEntry } from "./grpc/control.ts";
import { unreadMetrics } from "./metrics.ts";
import { MemoryChangeLog } from "./presence/change-log-memory.ts";
import { MemoryRouter } from "./router/memory.ts";
import { MemoryStore } from "./store/memory.ts";
import { internalId } from "./tenant/tenant-ids.ts";

const clock = new FakeClock();
const store = new MemoryStore();
const router = new MemoryRouter(clock, 1e9);
const queued: PushIntent[] = [];
const metrics = unreadMetrics();
const core = composeLogic({
  changeLog: new MemoryChangeLog(),
  wheel: new MemoryAckWheel(clock, (intent) => void queued.push(intent)),
  ackTimeoutMs: 5000,
  store,
  router,
  intents: {
    append: async (intents) => {
      queued.push(...intents);
      return intents.length;
    },
  },
  tokens: {
    verify: async (token) => {
      if (!token.startsWith("{"))
        return { kind: "denied", code: DisconnectCode.TOKEN_INVALID, reason: "not a test token" };
      const {
        userId,
        tokenId = "",
        ageS = 0,
        expiresInS = 3600,
      } = JSON.parse(token) as TokenOptions & { userId: string };
      const nowMs = clock.wallMs();
      return { kind: "ok", userId, tokenId, issuedAtMs: nowMs - ageS * 1000, expiresAtMs: nowMs + expiresInS * 1000 };
    },
  },
  name: "logic-test",
  leaseTtlMs: LEASE_TTL_MS,
  pingIntervalMs: 30_000,
  maxLingerMs: 0,
  gap: { maxEvents: 2000, maxAgeMs: 30 * 86_400_000 },
  clock,
  random: () => 0.5,
  defer: setImmediate,
  onFault: () => undefined,
  log: silentLogger,
  metrics,
});
await core.start();

const harness: LogicHarness = {
  entry: (podUid) => wireEntry(podUid, (uplink) => core.server.accept(uplink)),
  purge: (podUid) => purgeEntry(core.control, { podUid, force: true }),
  token: async (userId, facts) => JSON.stringify({ userId, ...facts }),
  intents: async () => queued,
  elapse: (ms) => clock.advance(ms),
  flushRouter: async () => router.flush(),
  createConversation: (id, memberIds) => store.createConversation(id, memberIds),
  tenant: "",
  store,
  router,
  core,
};

logicContract("memory", () => harness);

const inTenant = (userId: string): string => internalId("acme", userId);

/** Clients of a tenant: what they write and read is all the same. */
const ofTenant: LogicHarness = {
  ...harness,
  tenant: "acme",
  token: async (userId, facts) => JSON.stringify({ userId: inTenant(userId), ...facts }),
  createConversation: (id, memberIds) => store.createConversation(id, memberIds.map(inTenant)),
};

tenantContract("memory", () => ofTenant);

describe("what tenants did", () => {
  it("is counted for each: logins and messages", () => {
    for (const counts of [metrics.tenantLogins.read(), metrics.tenantMessages.read()]) {
      assert.deepEqual(Object.keys(counts), ["_default", "acme"]);
      assert.ok(
        Object.values(counts).every((count) => count > 10),
        JSON.stringify(counts),
      );
    }
  });
});
