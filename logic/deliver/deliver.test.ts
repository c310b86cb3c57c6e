// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { Metrics } from "#lib/metrics.ts";
import { FakeTracer } from "#lib/tracing/fake-tracer.ts";
import { readTraceContext } from "#lib/tracing/trace-context.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { createLogicMetrics } from "../metrics.ts";
import { MemoryRouter } from "../router/memory.ts";
import type { EntryPort } from "../session/session.ts";
import { Delivery, type Outgoing } from "./deliver.ts";
import { OfflineQueue, type PushIntent } from "./offline.ts";
import { RouteCache } from "./route-cache.ts";
import { SilentSeqs } from "./silent-seqs.ts";
import { UnreachableHandler } from "./unreachable.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function settle(): Promise<void> {
  for (let at = 0; at < 10; at++) await turn();
}

async function setUp() {
  const clock = new FakeClock();
  const router = new MemoryRouter(clock);
  const sent: RecordInput[] = [];
  const offline: PushIntent[] = [];
  const armed: string[] = [];
  const tripsMs: number[] = [];
  const faults: string[] = [];
  const registry = new Metrics();
  const silent = new SilentSeqs();
  let isFull = false;
  const entry: EntryPort = {
    incarnation: "pod.1",
    send: (record) => !isFull && sent.push(record) > 0,
    roundTripMs: (conn) => conn * 10,
  };
  await router.renewLease("pod.1");
  const cache = new RouteCache({ router, clock, onFault: (op) => void faults.push(op) });
  const ports = {
    router,
    routes: cache,
    changes: cache.changes,
    entries: { find: (incarnation: string) => (incarnation === "pod.1" ? entry : undefined) },
    offline: (intent: PushIntent) => void offline.push(intent),
    delivered: (userId: string, slot: string, inboxSeq: number, roundTripMs = 0) => {
      armed.push(`${userId}/${slot}/${inboxSeq}`);
      tripsMs.push(roundTripMs);
    },
    silent: (userId: string, inboxSeq: number) => silent.add(userId, inboxSeq),
    isSilent: (userId: string, inboxSeq: number) => silent.has(userId, inboxSeq),
    onRouterFault: (op: string) => void faults.push(op),
    clock,
    defer: setImmediate,
    metrics: createLogicMetrics(registry),
  };
  const online = (userId: string, conn: number, incarnation = "pod.1") =>
    router.login([{ userId, slot: "web", incarnation, conn, loginSeq: 1, deviceId: "d" }]);
  const fill = (value: boolean): void => {
    isFull = value;
  };
  return { clock, router, sent, offline, armed, tripsMs, faults, ports, online, fill, registry };
}

function outgoing(recipients: Outgoing["recipients"]): Outgoing {
  return {
    event: {
      conversationId: "c",
      convSeq: 1,
      messageId: "m",
      sender: "alice",
      sentAtMs: 1,
      clientMessageId: "cm",
      contentType: "",
      content: new Uint8Array(3),
    },
    recipients,
    epochMark: 9,
    origin: { incarnation: "pod.1", conn: 1 },
  };
}

const both = [
  { userId: "alice", inboxSeq: 3 },
  { userId: "bob", inboxSeq: 5 },
];

describe("delivery", () => {
  it("asks for the routes of a tick at once and skips the sending connection", async () => {
    const { sent, offline, ports, online, router } = await setUp();
    await online("alice", 1);
    await online("bob", 2);
    let lookups = 0;
    const lookup = router.lookup.bind(router);
    router.lookup = (users) => {
      lookups++;
      return lookup(users);
    };
    const delivery = new Delivery(ports);
    for (let at = 0; at < 10; at++) delivery.deliver(outgoing(both));
    await settle();
    assert.equal(lookups, 1);
    assert.deepEqual(
      new Set(sent.map(({ kind, conn, aux }) => `${kind}/${conn}/${aux}`)),
      new Set([`${RecordKind.DELIVER}/2/5`]),
    );
    assert.equal(sent.length, 10);
    assert.deepEqual(offline, []);
    assert.equal(delivery.isIdle, true);
  });

  it("pushes to nobody for what is silent, reached or not, and waits for no acknowledgement", async () => {
    const { sent, offline, armed, ports, online } = await setUp();
    await online("bob", 2);
    const delivery = new Delivery(ports);
    const unreachable = new UnreachableHandler(ports);
    const silent = (recipients: Outgoing["recipients"]): Outgoing => ({ ...outgoing(recipients), isSilent: true });
    delivery.deliver(silent([...both, { userId: "carol", inboxSeq: 7 }]));
    await settle();
    assert.deepEqual([sent.length, offline, armed], [1, [], []]);
    // Its connection was gone, and so is that of a message before.
    unreachable.add({ userId: "bob", incarnation: "pod.1", conn: 2, inboxSeq: 5 });
    unreachable.add({ userId: "bob", incarnation: "pod.1", conn: 2, inboxSeq: 4 });
    await settle();
    assert.deepEqual(offline, [{ userId: "bob", inboxSeq: 4, cause: "unreachable" }]);
  });

  it("tells the wait for its acknowledgement by the round trip of the connection", async () => {
    const { armed, tripsMs, ports, online } = await setUp();
    await online("bob", 23);
    new Delivery(ports).deliver(outgoing(both));
    await settle();
    assert.deepEqual([armed, tripsMs], [["bob/web/5"], [230]]);
  });

  it("delivers in the same call when all routes are known, and never past what waits", async () => {
    const { sent, ports, online } = await setUp();
    await online("alice", 1);
    await online("bob", 2);
    const delivery = new Delivery(ports);
    const seqs = (): (number | undefined)[] => sent.map(({ aux }) => aux);
    const toBob = (inboxSeq: number) => outgoing([both[0] ?? assert.fail(), { userId: "bob", inboxSeq }]);
    delivery.deliver(toBob(1));
    assert.deepEqual(seqs(), [], "asks first");
    await settle();
    delivery.deliver(toBob(2));
    assert.deepEqual(seqs(), [1, 2]);
    delivery.deliver(outgoing([...both.slice(0, 1), { userId: "carol", inboxSeq: 1 }]));
    delivery.deliver(toBob(3));
    assert.deepEqual(seqs(), [1, 2], "waits behind carol's");
    await settle();
    assert.deepEqual(seqs(), [1, 2, 3]);
  });

  it("waits for the acknowledgement of every session it was sent to, but never of the sender's own", async () => {
    const { armed, ports, online, router, fill } = await setUp();
    await online("alice", 8);
    await online("bob", 2);
    await router.login([
      { userId: "bob", slot: "mobile", incarnation: "pod.1", conn: 3, loginSeq: 1, deviceId: "phone" },
      { userId: "carol", slot: "mobile", incarnation: "pod.2", conn: 9, loginSeq: 1, deviceId: "phone" },
    ]);
    await router.renewLease("pod.2");
    const delivery = new Delivery(ports);
    delivery.deliver(outgoing([...both, { userId: "carol", inboxSeq: 4 }]));
    await settle();
    assert.deepEqual(armed.splice(0).sort(), ["bob/mobile/5", "bob/web/5"], "carol's entry is not attached yet");
    delivery.attached({ incarnation: "pod.2", send: () => true });
    assert.deepEqual(armed.splice(0), ["carol/mobile/4"]);
    fill(true);
    delivery.deliver(outgoing(both));
    await settle();
    assert.deepEqual(armed, [], "it was not sent");
    delivery.close();
  });

  it("pushes to whom no stream leads, but never to the sender", async () => {
    const { sent, offline, ports, online } = await setUp();
    await online("bob", 2, "elsewhere.1");
    new Delivery(ports).deliver(outgoing(both));
    await settle();
    assert.deepEqual([sent, offline], [[], [{ userId: "bob", inboxSeq: 5, cause: "offline" }]]);
  });

  it("pushes when the entry's stream is full", async () => {
    const { offline, ports, online, fill } = await setUp();
    await online("bob", 2);
    fill(true);
    new Delivery(ports).deliver(outgoing(both));
    await settle();
    assert.deepEqual(offline, [{ userId: "bob", inboxSeq: 5, cause: "offline" }]);
  });

  it("waits for a live entry that is not attached here yet, in order, and writes no intent", async () => {
    const { sent, offline, ports, online, router, clock, registry } = await setUp();
    const attachedHere = new Set<string>();
    const entries = { find: (name: string) => (attachedHere.has(name) ? ports.entries.find(name) : undefined) };
    await online("bob", 2);
    await router.renewLease("pod.1");
    const delivery = new Delivery({ ...ports, entries });
    for (const inboxSeq of [5, 6]) delivery.deliver(outgoing([{ userId: "bob", inboxSeq }]));
    await settle();
    assert.deepEqual([sent, offline], [[], []]);
    attachedHere.add("pod.1");
    delivery.attached(ports.entries.find("pod.1") ?? assert.fail("no entry"));
    delivery.deliver(outgoing([{ userId: "bob", inboxSeq: 7 }]));
    await settle();
    assert.deepEqual([sent.map(({ conn, aux }) => `${conn}/${aux}`), offline], [["2/5", "2/6", "2/7"], []]);
    assert.equal(clock.pending, 0);
    assert.match(await registry.render(), /im_logic_deliver_total\{result="delivered"\} 3/);
  });

  it("pushes when the entry does not attach in time, or cannot wait any more", async () => {
    const { sent, offline, ports, online, clock } = await setUp();
    await online("bob", 2);
    const delivery = new Delivery({ ...ports, entries: { find: () => undefined } });
    delivery.deliver(outgoing([...both, { userId: "carol", inboxSeq: 1 }]));
    await settle();
    assert.deepEqual(
      [offline, delivery.parked],
      [[{ userId: "carol", inboxSeq: 1, cause: "offline" }], 1],
      "no route: no waiting",
    );
    clock.advance(5000);
    assert.deepEqual(
      [sent, offline.slice(1), delivery.parked],
      [[], [{ userId: "bob", inboxSeq: 5, cause: "offline" }], 0],
    );
    delivery.deliver(outgoing(both));
    await settle();
    delivery.gone("pod.1");
    assert.equal(offline.length, 3);
    delivery.close();
    delivery.deliver(outgoing(both));
    await settle();
    assert.deepEqual([offline.length, clock.pending], [4, 0]);
  });

  it("outlives a short loss of the router, and does not hang on a long one", async () => {
    const { sent, offline, faults, ports, online, router, clock } = await setUp();
    await online("bob", 2);
    const delivery = new Delivery(ports);
    router.isDown = true;
    delivery.deliver(outgoing(both));
    await settle();
    router.isDown = false;
    clock.advance(50);
    await settle();
    assert.deepEqual([sent.length, faults.length], [1, 1]);
    router.isDown = true;
    delivery.deliver(outgoing(both));
    for (let at = 0; at < 5; at++) {
      await settle();
      clock.advance(200);
    }
    assert.deepEqual([sent.length, offline.length, faults.length], [1, 0, 4]);
    assert.equal(delivery.isIdle, true);
    assert.equal(clock.pending, 0);
  });

  it("drops what exceeds its queue and says so", async () => {
    const { ports, registry } = await setUp();
    const delivery = new Delivery({ ...ports, defer: () => undefined });
    for (let at = 0; at < 20_001; at++) delivery.deliver(outgoing(both));
    assert.match(await registry.render(), /im_logic_deliver_total\{result="dropped"\} 2/);
  });
});

describe("unreachable", () => {
  it("ignores an entry that does not know whose connection it was", async () => {
    const { ports, offline, faults } = await setUp();
    const handler = new UnreachableHandler(ports);
    handler.add({ userId: "", incarnation: "pod.1", conn: 4, inboxSeq: 1 });
    await settle();
    assert.deepEqual([offline, faults, handler.isIdle], [[], [], true]);
  });

  it("asks for one push when two connections of a user are gone", async () => {
    const { ports, offline, clock } = await setUp();
    const handler = new UnreachableHandler(ports);
    const gone = async (conn: number, inboxSeq: number): Promise<void> => {
      handler.add({ userId: "nobody", incarnation: "pod.1", conn, inboxSeq });
      await settle();
    };
    for (const [conn, seq] of [
      [4, 1],
      [5, 1],
      [4, 2],
      [4, 3],
      [5, 2],
      [5, 3],
    ] as const)
      await gone(conn, seq);
    assert.deepEqual(
      offline.map(({ inboxSeq }) => inboxSeq),
      [1, 2, 3],
    );
    clock.advance(2000);
    await gone(6, 3);
    assert.equal(offline.length, 4, "much later: who knows what became of the first");
  });

  it("gives up while the router is away", async () => {
    const { ports, offline, faults, router } = await setUp();
    router.isDown = true;
    new UnreachableHandler(ports).add({ userId: "bob", incarnation: "pod.1", conn: 4, inboxSeq: 1 });
    await settle();
    assert.deepEqual([offline, faults], [[], ["unreachable"]]);
  });
});

describe("offline queue", () => {
  it("appends one tick at once and counts what was not taken", async () => {
    const { ports, registry } = await setUp();
    const batches: (readonly PushIntent[])[] = [];
    let isDown = false;
    const queue = new OfflineQueue({
      ...ports,
      onFault: ports.onRouterFault,
      sink: {
        append: async (intents) => {
          batches.push(intents);
          if (isDown) throw new Error("down");
          return intents.length - 1;
        },
      },
    });
    queue.add({ userId: "a", inboxSeq: 1, cause: "offline" });
    queue.add({ userId: "b", inboxSeq: 1, cause: "offline" });
    await settle();
    isDown = true;
    queue.add({ userId: "c", inboxSeq: 1, cause: "offline" });
    await settle();
    assert.deepEqual(
      batches.map((batch) => batch.length),
      [2, 1],
    );
    const page = await registry.render();
    assert.match(page, /im_push_intents_total\{result="queued"\} 1/);
    assert.match(page, /im_push_intents_total\{result="dropped"\} 2/);
  });
});

describe("delivery of a traced message", () => {
  it("says so in front of each DELIVER and with the push, of the first sixteen recipients", async () => {
    const { ports, sent, offline, online } = await setUp();
    const users = Array.from({ length: 20 }, (_, at) => ({ userId: `u${at}`, inboxSeq: at + 1 }));
    // The second one, and the last, are away.
    for (const [at, { userId }] of users.entries()) if (at !== 1 && at !== 19) await online(userId, 100 + at);
    const tracer = new FakeTracer();
    const span = tracer.start("route");
    const noted: string[] = [];
    const note = (userId: string, inboxSeq: number): void => void noted.push(`${userId}/${inboxSeq}`);
    new Delivery({ ...ports, traced: note }).deliver({ ...outgoing(users), span });
    await settle();
    const kinds = sent.map(({ kind }) => kind);
    assert.equal(kinds.filter((kind) => kind === RecordKind.DELIVER).length, 18);
    const traced = sent.filter(({ kind }) => kind === RecordKind.TRACED);
    assert.equal(traced.length, 15);
    for (const record of traced) {
      const next = sent[sent.indexOf(record) + 1];
      assert.deepEqual([next?.kind, next?.conn, next?.aux], [RecordKind.DELIVER, record.conn, record.aux]);
      assert.deepEqual(readTraceContext(record.body ?? new Uint8Array(0)), span.context);
    }
    assert.deepEqual(
      offline.map(({ userId, trace }) => [userId, trace]),
      [
        ["u1", span.context],
        ["u19", undefined],
      ],
    );
    assert.deepEqual(tracer.ended, ["route"]);
    const followed = users.slice(0, 16).map(({ userId, inboxSeq }) => `${userId}/${inboxSeq}`);
    assert.deepEqual(noted, followed);
  });
});
