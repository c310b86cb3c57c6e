// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { RouterMemory } from "../presence/router-memory.ts";
import { MemoryRouter } from "../router/memory.ts";
import { direct, message } from "../store/contract/fixture.ts";
import { MemoryStore } from "../store/memory.ts";
import { inspectService, locate, trace } from "./inspect.ts";

async function setUp() {
  const clock = new FakeClock(1000);
  const store = new MemoryStore(
    () => clock.nowMs(),
    () => clock.wallMs(),
  );
  const router = new MemoryRouter(clock);
  const { incarnation } = await store.registerEntry({ podUid: "pod-1", podName: "e1", version: "1" });
  await router.renewLease(incarnation);
  const login = async (userId: string, deviceId: string, isOnline: boolean) => {
    const device = { deviceId, deviceName: `${deviceId}'s`, platform: "ios", appVersion: "1" };
    const record = await store.login({ userId, slot: deviceId, ...device, atMs: clock.wallMs() - 60_000 });
    assert.ok(record.kind === "ok");
    const { loginSeq, slot } = record;
    if (isOnline) await router.login([{ userId, slot, incarnation, conn: 7, loginSeq, deviceId }]);
  };
  let isSame = true;
  const memory = new RouterMemory({ clock, isSame: async () => isSame });
  const forget = (): void => {
    router.flush();
    isSame = false;
  };
  return { ports: { store, router, memory, clock }, store, router, incarnation, login, forget, clock };
}

describe("LogicInspect.Locate", () => {
  it("tells where the devices of a user are, online ones first", async () => {
    const { ports, store, login, incarnation, clock } = await setUp();
    await login("alice", "laptop", false);
    await login("alice", "phone", true);
    await login("bob", "other", true);
    await store.append([message({ sender: "bob", peer: "alice" }), message({ sender: "bob", peer: "alice" })]);
    await store.advanceAcks([{ userId: "alice", deviceId: "phone", inboxSeq: 1 }]);
    const { inboxHead, devices } = await locate(ports, { userId: "alice" });
    assert.equal(inboxHead, 2);
    const [phone, laptop] = devices;
    assert.deepEqual(phone, {
      ...{ deviceId: "phone", deviceName: "phone's", platform: "ios", ackedSeq: 1, online: true, slot: "phone" },
      ...{ incarnation, conn: 7, loginSeq: 1, lastSeenMs: clock.wallMs() },
    });
    assert.ok(laptop);
    const { lastSeenMs, ...rest } = laptop;
    assert.deepEqual(rest, {
      ...{ deviceId: "laptop", deviceName: "laptop's", platform: "ios", ackedSeq: 0, online: false, slot: "" },
      ...{ incarnation: "", conn: 0, loginSeq: 0 },
    });
    assert.ok(lastSeenMs < clock.wallMs());
  });

  it("knows nothing of strangers, and calls nobody offline because the router is away", async () => {
    const { ports, router } = await setUp();
    assert.deepEqual(await locate(ports, { userId: "nobody" }), { inboxHead: 0, devices: [] });
    await assert.rejects(locate(ports, { userId: "no body" }), { code: ErrorCode.BAD_REQUEST });
    router.isDown = true;
    await assert.rejects(locate(ports, { userId: "alice" }), { code: ErrorCode.RETRYABLE });
  });
});

describe("LogicInspect.Locate of a router that forgot", () => {
  it("calls nobody offline before the entries had time to announce their sessions", async () => {
    const { ports, login, forget } = await setUp();
    await login("alice", "phone", true);
    forget();
    await assert.rejects(locate(ports, { userId: "alice" }), { code: ErrorCode.RETRYABLE });
    assert.deepEqual((await locate(ports, { userId: "nobody" })).devices, [], "there is nothing to say of a stranger");
  });
});

describe("LogicInspect.Trace", () => {
  it("tells of a message, its people and their devices, without its content", async () => {
    const { ports, store, login } = await setUp();
    await login("alice", "phone", true);
    await login("bob", "tablet", false);
    const input = message({ sender: "alice", peer: "bob", clientMessageId: "m-1", content: Buffer.from("a secret") });
    await store.append([input]);
    const reply = await trace(ports, { userId: "bob", message: input.messageId });
    const { users, ...head } = reply;
    assert.deepEqual(head, {
      ...{ found: true, messageId: input.messageId, conversationId: direct("alice", "bob"), convSeq: 1 },
      ...{ sentAtMs: input.sentAtMs, expired: false, sender: "alice", clientMessageId: "m-1" },
      ...{ contentType: "text/plain", contentBytes: 8, hasMore: false },
    });
    assert.deepEqual(
      users.map(({ userId, inboxSeq, devices }) => [
        userId,
        inboxSeq,
        devices.map(({ deviceId, online }) => [deviceId, online]),
      ]),
      [
        ["alice", 1, [["phone", true]]],
        ["bob", 1, [["tablet", false]]],
      ],
    );
    assert.ok(!JSON.stringify(reply).includes("secret"));
    assert.equal((await trace(ports, { userId: "alice", message: "m-1" })).messageId, input.messageId);
  });

  it("says that it found nothing, and refuses what is no question", async () => {
    const { ports } = await setUp();
    const { found, users } = await trace(ports, { userId: "alice", message: "m-1" });
    assert.deepEqual([found, users], [false, []]);
    for (const text of ["", "x".repeat(129), "a\0b"])
      await assert.rejects(trace(ports, { userId: "alice", message: text }), { code: ErrorCode.BAD_REQUEST });
    await assert.rejects(trace(ports, { userId: "", message: "m" }), { code: ErrorCode.BAD_REQUEST });
  });
});

describe("inspectService", () => {
  it("has a handler for every method", async () => {
    const { ports } = await setUp();
    assert.deepEqual(Object.keys(inspectService(ports).definition).sort(), ["Locate", "Trace"]);
  });
});
