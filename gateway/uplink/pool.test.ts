// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import type { UplinkStream } from "#lib/grpc.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { AttachReply, AttachRequest, Disconnect } from "#proto/gen/messages.ts";
import { RecordBatch, type RecordInput, RecordKind, readRecords, type UplinkRecord } from "#proto/uplink/record.ts";
import { EntryMetrics } from "../metrics.ts";
import { EntryStats } from "../session/stats.ts";
import { MAX_QUEUE_BYTES } from "./link.ts";
import { UplinkPool } from "./pool.ts";

/** The far end of a link. */
class FakeStream implements UplinkStream {
  readonly address: string;
  readonly batches: number[] = [];
  readonly received: UplinkRecord[] = [];
  isSlow = false;
  isClosed = false;
  readonly #callbacks: { onConnected(): void; onBatch(batch: Buffer): void; onClose(error?: Error): void };
  #onDrain: () => void = () => undefined;

  constructor(address: string, callbacks: FakeStream["callbacks"]) {
    this.address = address;
    this.#callbacks = callbacks;
  }
  get callbacks() {
    return this.#callbacks;
  }
  write(batch: Buffer): boolean {
    this.batches.push(batch.length);
    readRecords(batch, (record) => this.received.push({ ...record, body: Buffer.from(record.body) }));
    return !this.isSlow;
  }
  onDrain(fn: () => void): void {
    this.#onDrain = fn;
  }
  drain(): void {
    this.isSlow = false;
    this.#onDrain();
  }
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#callbacks.onClose();
  }
  /** As if the connection broke. */
  break(): void {
    this.isClosed = true;
    this.#callbacks.onClose(new Error("reset"));
  }
  answer(...records: RecordInput[]): void {
    const batch = new RecordBatch();
    for (const record of records) batch.add(record);
    this.#callbacks.onBatch(batch.take());
  }
  attach(incarnation: string, leaseIntervalMs = 5000): void {
    const body = AttachReply.encode({ incarnation, logicName: `name of ${this.address}`, leaseIntervalMs });
    this.answer({ kind: RecordKind.ATTACHED, body });
  }
  kinds(): number[] {
    return this.received.map(({ kind }) => kind);
  }
  attachedAs(): string | undefined {
    const record = this.received.find(({ kind }) => kind === RecordKind.ATTACH);
    return record && AttachRequest.decode(record.body).incarnation;
  }
}

/** What setImmediate scheduled has run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp(targets: string[], resolve: (host: string) => Promise<string[]> = () => Promise.resolve([])) {
  const clock = new FakeClock();
  const streams: FakeStream[] = [];
  const events: string[] = [];
  const stats = new EntryStats();
  const pool = new UplinkPool({
    targets,
    identity: { podUid: "uid", podName: "entry-0", version: "1" },
    open: (address, callbacks) => {
      const stream = new FakeStream(address, callbacks);
      streams.push(stream);
      return stream;
    },
    resolve,
    clock,
    log: silentLogger,
    stats,
    metrics: new EntryMetrics(new Metrics(), stats),
    owner: {
      onRecord: (_link, record) => events.push(`record ${record.kind}`),
      onAttached: (link) => events.push(`attached ${link.name}`),
      onLost: (link) => events.push(`lost ${link.name}`),
      onFenced: (reason) => events.push(`fenced ${reason}`),
    },
  });
  pool.start();
  const stream = (index: number): FakeStream => streams[index] ?? assert.fail(`no stream ${index}`);
  /** Stream `index` connects, and attaches. */
  const attach = async (index: number): Promise<void> => {
    stream(index).callbacks.onConnected();
    await turn();
    stream(index).attach(stream(index).attachedAs() || "uid.1");
    await turn();
  };
  return { clock, streams, stream, events, pool, attach };
}

describe("UplinkPool", () => {
  it("gets its incarnation from one logic and shows it to the others", async () => {
    const { stream, pool, events } = setUp(["a:1", "b:1", "c:1"]);
    for (const index of [0, 1, 2]) stream(index).callbacks.onConnected();
    await turn();
    assert.deepEqual(
      [stream(0).attachedAs(), stream(1).attachedAs(), stream(2).attachedAs()],
      ["", undefined, undefined],
    );
    stream(0).attach("uid.7");
    await turn();
    assert.deepEqual([stream(1).attachedAs(), stream(2).attachedAs()], ["uid.7", "uid.7"]);
    assert.equal(pool.incarnation, "uid.7");
    stream(1).attach("uid.7");
    assert.deepEqual([pool.attached, events], [2, ["attached name of a:1", "attached name of b:1"]]);
    pool.close();
  });

  it("asks another one when the first does not answer ATTACH", async () => {
    const { clock, stream, pool } = setUp(["a:1", "b:1"]);
    stream(0).callbacks.onConnected();
    stream(1).callbacks.onConnected();
    await turn();
    clock.advance(5001);
    await turn();
    assert.equal(stream(0).isClosed, true);
    assert.equal(stream(1).attachedAs(), "");
    pool.close();
  });

  it("refuses a logic that gives it another incarnation", async () => {
    const { stream, pool, attach } = setUp(["a:1", "b:1"]);
    await attach(0);
    stream(1).callbacks.onConnected();
    await turn();
    assert.throws(() => stream(1).attach("uid.99"), /attached as uid.99/);
    assert.equal(pool.attached, 1);
    pool.close();
  });

  it("tells all that are attached, and counts attachments", async () => {
    const { stream, pool, attach } = setUp(["a:1", "b:1"]);
    const hints = (index: number): number =>
      stream(index)
        .kinds()
        .filter((kind) => kind === RecordKind.ROUND_TRIP).length;
    pool.tellAll({ kind: RecordKind.ROUND_TRIP, conn: 1, aux: 100 });
    assert.equal(pool.attaches, 0);
    await attach(0);
    pool.tellAll({ kind: RecordKind.ROUND_TRIP, conn: 1, aux: 100 });
    assert.equal(pool.attaches, 1);
    await attach(1);
    pool.tellAll({ kind: RecordKind.ROUND_TRIP, conn: 1, aux: 100 });
    await turn();
    assert.deepEqual([hints(0), hints(1), pool.attaches], [2, 1, 2]);
    pool.close();
  });

  it("chooses the least loaded, equals in turn, and none that leaves", async () => {
    const { stream, pool, attach } = setUp(["a:1", "b:1"]);
    assert.equal(pool.choose(), undefined);
    await attach(0);
    await attach(1);
    const names = new Set([pool.choose()?.name, pool.choose()?.name]);
    assert.equal(names.size, 2);
    const first = pool.choose();
    if (first) first.load = 10;
    const second = pool.choose();
    assert.notEqual(second, first);
    assert.equal(pool.choose(), second);
    const leaving = second?.name.endsWith("a:1") ? 0 : 1;
    stream(leaving).answer({ kind: RecordKind.LEAVING });
    assert.equal(pool.choose(), first);
    assert.equal(pool.attached, 2);
    pool.close();
  });

  it("renews the lease on one stream, on another once that is lost or silent", async () => {
    const { clock, stream, pool, attach } = setUp(["a:1", "b:1"]);
    await attach(0);
    await attach(1);
    const leases = (index: number) =>
      stream(index)
        .kinds()
        .filter((kind) => kind === RecordKind.LEASE).length;
    assert.deepEqual([leases(0), leases(1)], [1, 0]);
    const answer = (index: number) => {
      const { rid } = stream(index).received.findLast(({ kind }) => kind === RecordKind.LEASE) ?? { rid: 0 };
      stream(index).answer({ kind: RecordKind.LEASED, rid, aux: 15_000 });
    };
    answer(0);
    clock.advance(5000);
    await turn();
    assert.deepEqual([leases(0), leases(1)], [2, 0]);
    clock.advance(5000);
    await turn();
    assert.deepEqual([leases(0), leases(1)], [2, 1], "the last one was not answered");
    answer(1);
    stream(1).break();
    clock.advance(5000);
    await turn();
    assert.deepEqual([leases(0), leases(1)], [3, 1]);
    pool.close();
    assert.equal(clock.pending, 0);
  });

  it("renews at once when the first logic comes back", async () => {
    const { clock, streams, stream, pool, attach } = setUp(["a:1"]);
    await attach(0);
    stream(0).break();
    clock.advance(2000);
    assert.equal(streams.length, 2);
    await attach(1);
    assert.ok(stream(1).kinds().includes(RecordKind.LEASE));
    assert.equal(stream(1).attachedAs(), "uid.1");
    pool.close();
  });

  it("reconnects with growing delays, for ever, and reports only what was attached as lost", async () => {
    const { clock, streams, stream, pool, events, attach } = setUp(["a:1"]);
    for (let i = 0; i < 8; i++) {
      stream(streams.length - 1).break();
      clock.advance(2000);
    }
    assert.equal(streams.length, 9);
    assert.deepEqual(events, []);
    await attach(8);
    stream(8).break();
    assert.deepEqual(events, ["attached name of a:1", "lost name of a:1"]);
    pool.close();
    assert.equal(clock.pending, 0);
  });

  it("follows DNS: dials what appears, keeps what it has, forgets what is gone once it breaks", async () => {
    let addresses = ["10.0.0.1"];
    const { clock, streams, stream, pool } = setUp(["dns:logic.test:7443"], () => Promise.resolve(addresses));
    await turn();
    assert.deepEqual(
      streams.map(({ address }) => address),
      ["10.0.0.1:7443"],
    );
    addresses = ["10.0.0.2", "10.0.0.3"];
    clock.advance(2000);
    await turn();
    assert.deepEqual(
      streams.map(({ address }) => address),
      ["10.0.0.1:7443", "10.0.0.2:7443", "10.0.0.3:7443"],
    );
    assert.equal(stream(0).isClosed, false);
    stream(0).break();
    clock.advance(1999);
    assert.equal(streams.length, 3, "gone from DNS: not dialled again");
    pool.close();
  });

  it("keeps what it knows while DNS fails or is empty", async () => {
    let answer: () => Promise<string[]> = () => Promise.resolve(["10.0.0.1"]);
    const { clock, streams, stream, pool } = setUp(["dns:logic.test:7443"], () => answer());
    await turn();
    answer = () => Promise.reject(new Error("SERVFAIL"));
    clock.advance(2000);
    await turn();
    answer = () => Promise.resolve([]);
    clock.advance(2000);
    await turn();
    stream(0).break();
    clock.advance(2000);
    assert.equal(streams.length, 2);
    pool.close();
  });

  it("passes on FENCED and records about connections, and survives kinds of a newer logic", async () => {
    const { stream, pool, events, attach } = setUp(["a:1"]);
    await attach(0);
    events.length = 0;
    stream(0).answer({ kind: RecordKind.DELIVER, conn: 1 }, { kind: 99 as RecordKind });
    stream(0).answer({ kind: RecordKind.FENCED, body: Disconnect.encode({ code: 4004, reason: "purged" }) });
    assert.deepEqual(events, [`record ${RecordKind.DELIVER}`, "record 99", "fenced purged"]);
    pool.close();
  });

  it("refuses a target that is no host:port", () => {
    for (const bad of ["logic", "http://logic:1", "a:b", "dns:logic", ""])
      assert.throws(() => setUp([bad]), /not host:port/);
  });
});

describe("LogicLink", () => {
  it("sends all records of a turn in one batch, and queues within bounds while the stream is blocked", async () => {
    const { stream, pool, attach } = setUp(["a:1"]);
    await attach(0);
    const link = pool.choose() ?? assert.fail("no logic");
    const before = stream(0).batches.length;
    for (let conn = 1; conn <= 100; conn++) link.send({ kind: RecordKind.COMMAND, conn });
    await turn();
    assert.equal(stream(0).batches.length, before + 1);

    stream(0).isSlow = true;
    link.send({ kind: RecordKind.COMMAND, conn: 1 });
    await turn();
    const body = Buffer.alloc(1024 * 1024);
    let taken = 0;
    while (link.send({ kind: RecordKind.COMMAND, conn: 2, body })) taken++;
    assert.ok(taken * body.length <= MAX_QUEUE_BYTES && taken >= 8 - 1, `${taken} MiB were queued`);
    link.sendControl({ kind: RecordKind.CLOSED, conn: 1 });
    await turn();
    assert.equal(stream(0).batches.length, before + 2);
    stream(0).drain();
    await turn();
    assert.equal(stream(0).batches.length, before + 3);
    assert.equal(stream(0).received.at(-1)?.kind, RecordKind.CLOSED);
    assert.equal(link.send({ kind: RecordKind.COMMAND, conn: 3 }), true);
    pool.close();
  });

  it("takes nothing before it is attached and after it closed", async () => {
    const { stream, pool, attach } = setUp(["a:1"]);
    await attach(0);
    const link = pool.choose() ?? assert.fail("no logic");
    stream(0).break();
    assert.equal(link.send({ kind: RecordKind.COMMAND, conn: 1 }), false);
    assert.equal(link.isUsable, false);
    pool.close();
  });
});
