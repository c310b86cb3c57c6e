// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { composeLogic, type LogicCore } from "./compose.ts";
import { MemoryAckWheel } from "./deliver/ack-wheel-memory.ts";
import { type TestEntry, wireEntry } from "./entry-kit.ts";
import { unreadMetrics } from "./metrics.ts";
import { MemoryRouter } from "./router/memory.ts";
import { MemoryStore } from "./store/memory.ts";

/** Two logics on one store and one router, and one entry process with a stream to each. */
async function setUp() {
  const clock = new FakeClock();
  const store = new MemoryStore();
  const router = new MemoryRouter(clock, 1e9);
  const logic = async (name: string): Promise<LogicCore> => {
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
    });
    await core.start();
    return core;
  };
  const [first, second] = [await logic("first"), await logic("second")];
  const toFirst = wireEntry("pod", (uplink) => first.server.accept(uplink));
  const toSecond = wireEntry("pod", (uplink) => second.server.accept(uplink));
  assert.ok(await toFirst.attach());
  assert.ok(await toSecond.attach(toFirst.incarnation));
  const close = (): void => {
    for (const core of [first, second]) core.close();
  };
  return { clock, toFirst, toSecond, close };
}

let sent = 0;
async function sendFromAlice(through: TestEntry): Promise<void> {
  const answer = await through.message(1, { to: "bob", clientMessageId: `m${++sent}`, content: new Uint8Array(1) });
  assert.equal(answer.kind, "ok");
}

describe("two logics", () => {
  it("tell a session that the other one did not know about what it missed, and push to all from then on", async () => {
    const { clock, toFirst, toSecond, close } = await setUp();
    await toFirst.login(1, "alice", { deviceId: "a" });
    await toFirst.login(2, "bob", { deviceId: "laptop", platform: "web" });
    await sendFromAlice(toFirst);
    assert.equal((await toFirst.delivered(2)).inboxSeq, 1);
    await toSecond.login(3, "bob", { deviceId: "phone" });
    await sendFromAlice(toFirst);
    assert.equal((await toFirst.delivered(2)).inboxSeq, 2);
    assert.deepEqual(
      toFirst.waiting(RecordKind.DELIVER).filter(({ conn }) => conn === 3),
      [],
      "the first logic remembers the laptop only",
    );
    clock.advance(1500);
    assert.equal((await toSecond.next(RecordKind.HEAD, { conn: 3 })).aux, 2);
    await sendFromAlice(toFirst);
    assert.equal((await toFirst.delivered(3)).inboxSeq, 3);
    close();
  });

  it("find who moved away, at the latest when the old connection is gone", async () => {
    const { toFirst, toSecond, close } = await setUp();
    await toFirst.login(1, "alice", { deviceId: "a" });
    await toFirst.login(2, "bob", { deviceId: "phone" });
    await sendFromAlice(toFirst);
    await toFirst.delivered(2);
    await toSecond.login(3, "bob", { deviceId: "phone" });
    await sendFromAlice(toFirst);
    const { aux } = await toFirst.next(RecordKind.DELIVER, { conn: 2 });
    toFirst.send({ kind: RecordKind.UNREACHABLE, conn: 2, aux, body: Buffer.from("bob") });
    assert.equal((await toFirst.next(RecordKind.HEAD, { conn: 3 })).aux, 2);
    await sendFromAlice(toFirst);
    assert.equal((await toFirst.delivered(3)).inboxSeq, 3);
    close();
  });
});
