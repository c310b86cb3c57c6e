// SPDX-License-Identifier: Apache-2.0
// One connection with everything around it in memory.
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { Command, MAX_FRAME_BYTES } from "#proto/commands.ts";
import { ErrorInfo, type Event, Hello, type LoginReply, Push } from "#proto/gen/messages.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import { EntryMetrics } from "../metrics.ts";
import type { Carrier } from "../session/carrier.ts";
import { type ClientLimits, NO_LIMITS } from "../session/client-limits.ts";
import type { Connection } from "../session/connection.ts";
import type { HeartbeatAlgorithm } from "../session/heartbeat/algorithms.ts";
import { Hub } from "../session/hub.ts";
import { EntryStats } from "../session/stats.ts";
import type { LogicPort } from "../session/uplink-port.ts";
import { EnvelopeReader, encodeFrame } from "../wire/envelope.ts";
import { FrameReader } from "../wire/frame.ts";
import { type DecodedFrame, decodeAll } from "../wire/frame-test-kit.ts";

/** A socket that keeps what is written. */
export class FakeCarrier implements Carrier {
  readonly listener = "tcp";
  readonly remoteAddress = "192.0.2.1";
  readonly written: Buffer[] = [];
  bufferedBytes = 0;
  isSlow = false;
  isDestroyed = false;
  isPaused = false;
  ended: number | undefined;

  write(bytes: Buffer): boolean {
    this.written.push(Buffer.from(bytes));
    return !this.isSlow;
  }
  end(code: number): void {
    this.ended = code;
  }
  destroy(): void {
    this.isDestroyed = true;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }

  /** Frames written so far, with bodies as bytes. */
  frames(): (Omit<DecodedFrame, "body"> & { body: Buffer })[] {
    return decodeAll(this.written).frames.map((frame) => ({ ...frame, body: Buffer.from(frame.body, "hex") }));
  }

  /** Leases of the frames written so far. */
  leases(): Buffer[] {
    const envelope = new EnvelopeReader();
    const leases: Buffer[] = [];
    const onFrame = (buffer: Buffer, start: number, end: number): boolean => {
      leases.push(envelope.read(buffer, start, end) ? Buffer.from(envelope.lease) : Buffer.alloc(0));
      return true;
    };
    const reader = new FrameReader(MAX_FRAME_BYTES);
    for (const chunk of this.written) reader.push(chunk, { onFrame });
    return leases;
  }

  errors(): (ErrorInfo & { rid: number })[] {
    return this.frames()
      .filter(({ cmd }) => cmd === Command.ERROR)
      .map(({ rid, body }) => ({ ...ErrorInfo.decode(body), rid }));
  }
}

/** A logic that keeps what it is sent. */
export class FakePort implements LogicPort {
  readonly name: string;
  isUsable = true;
  isFull = false;
  load = 0;
  sent: RecordInput[] = [];

  constructor(name: string) {
    this.name = name;
  }
  send(record: RecordInput): boolean {
    if (this.isFull) return false;
    this.sendControl(record);
    return true;
  }
  sendControl(record: RecordInput): void {
    this.sent.push({ ...record, body: Buffer.from(record.body ?? []) });
  }
  kinds(): number[] {
    return this.sent.map(({ kind }) => kind);
  }
}

export function setUp(
  options: { pingIntervalMs?: number; heartbeat?: HeartbeatAlgorithm; limits?: ClientLimits } = {},
) {
  const clock = new FakeClock();
  const ports = [new FakePort("a"), new FakePort("b")] as [FakePort, FakePort];
  const stats = new EntryStats();
  const registry = new Metrics();
  const metrics = new EntryMetrics(registry, stats);
  const logics = {
    attaches: 2,
    choose: () => ports.find((port) => port.isUsable),
    tellAll: (record: RecordInput) => {
      for (const port of ports) port.send(record);
    },
  };
  const hub = new Hub({
    clock,
    log: silentLogger,
    stats,
    metrics,
    logics,
    loginTimeoutMs: 10_000,
    pingIntervalMs: options.pingIntervalMs ?? 30_000,
    heartbeat: options.heartbeat ?? "wheel",
    limits: options.limits ?? NO_LIMITS,
  });
  hub.heartbeats.start();
  const connect = () => {
    const carrier = new FakeCarrier();
    return { carrier, connection: hub.open(carrier, hub.heartbeats.nowTick) };
  };
  return { clock, ports, logics, logic: ports[0], other: ports[1], stats, registry, hub, connect };
}

export const send = (connection: Connection, cmd: number, rid = 0, body: Uint8Array = Buffer.alloc(0)): void =>
  connection.onBytes(encodeFrame(cmd, rid, 0, body));

export const hello = (connection: Connection): void =>
  send(connection, Command.HELLO, 1, Hello.encode({ deviceId: "d", token: "t" }));

export const reply = (fields: Partial<LoginReply> = {}): LoginReply => ({
  userId: "alice",
  slot: "web",
  tag: Buffer.from("tag"),
  welcome: Buffer.from([8, 1]),
  pingIntervalMs: 0,
  backgroundPingIntervalMs: 0,
  inboxHead: 5,
  loginSeq: 1,
  epochMark: 0,
  ...fields,
});

export const event = (inboxSeq: number): Uint8Array => Push.encode({ events: [{ inboxSeq } as Event] });

/** A connection that is logged in, with nothing recorded yet. */
export function openSession(world: ReturnType<typeof setUp>, fields: Partial<LoginReply> = {}) {
  const { carrier, connection } = world.connect();
  hello(connection);
  connection.onLoginOk(reply(fields));
  connection.flush();
  carrier.written.length = 0;
  for (const port of world.ports) port.sent.length = 0;
  return { carrier, connection };
}
