// SPDX-License-Identifier: Apache-2.0
// A scripted server behind a transport without sockets: the test plays the entry, frame by frame.
import assert from "node:assert/strict";
import { FakeClock } from "../../lib/clock.ts";
import {
  type Envelope,
  ErrorInfo,
  type Event,
  Goaway,
  Hello,
  History,
  HistoryPage,
  Kick,
  Pong,
  Push,
  PushAck,
  Send,
  SendAck,
  Snapshot,
  SnapshotPage,
  Sync,
  SyncPage,
  Welcome,
} from "../src/codec.ts";
import { Command, codeName, Flag } from "../src/codes.ts";
import { encodeFrame, FrameSplitter } from "../src/frame.ts";
import { ImClient, type ImClientOptions } from "../src/index.ts";
import type { Transport, TransportListener } from "../src/transport/transport.ts";

export const EPOCH = "epoch-1";
const TURNS = 200;
const NO_LEASE = new Uint8Array(0);
/** Ping interval that keeps the heartbeat out of tests that are not about it. */
const QUIET_MS = 3_600_000;

/** Lets everything run that needs no timer. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits for a condition, in turns of the event loop rather than in time. */
export async function until(condition: () => boolean, what = "the condition"): Promise<void> {
  for (let i = 0; i < TURNS; i++) {
    if (condition()) return;
    await turn();
  }
  assert.fail(`${what} did not come true`);
}

/** An event of conversation c1 at inbox position `inboxSeq`. */
export function eventAt(inboxSeq: number, fields: Partial<Event> = {}): Event {
  return {
    inboxSeq,
    conversationId: "c1",
    convSeq: inboxSeq,
    messageId: `m${inboxSeq}`,
    sender: "bob",
    sentAtMs: 1_700_000_000_000 + inboxSeq,
    clientMessageId: `b${inboxSeq}`,
    contentType: "",
    content: new TextEncoder().encode(`text ${inboxSeq}`),
    ...fields,
  };
}

/** Server side of one connection. */
export class FakeConnection {
  /** Frames not yet taken by {@link next}. */
  readonly frames: Envelope[] = [];
  readonly #listener: TransportListener;
  readonly #splitter = new FrameSplitter();
  /** The client closed it. */
  isClosed = false;
  #isEnded = false;

  constructor(listener: TransportListener) {
    this.#listener = listener;
  }

  get isOver(): boolean {
    return this.isClosed || this.#isEnded;
  }

  take(bytes: Uint8Array): void {
    if (!this.isOver) this.frames.push(...this.#splitter.push(bytes));
  }

  /** Next frame of that command; others before it stay. */
  async next(cmd: number): Promise<Envelope> {
    await until(() => this.frames.some((frame) => frame.cmd === cmd), `a ${cmd} frame`);
    const [frame] = this.frames.splice(
      this.frames.findIndex((candidate) => candidate.cmd === cmd),
      1,
    );
    assert.ok(frame);
    return frame;
  }

  async hello(): Promise<Hello> {
    return Hello.decode((await this.next(Command.HELLO)).body);
  }

  async nextSend(): Promise<Send & { rid: number }> {
    const frame = await this.next(Command.SEND);
    return { ...Send.decode(frame.body), rid: frame.rid };
  }

  async nextHistory(): Promise<History & { rid: number }> {
    const frame = await this.next(Command.HISTORY);
    return { ...History.decode(frame.body), rid: frame.rid };
  }

  async nextSnapshot(): Promise<Snapshot & { rid: number }> {
    const frame = await this.next(Command.SNAPSHOT);
    return { ...Snapshot.decode(frame.body), rid: frame.rid };
  }

  async nextSync(): Promise<Sync & { rid: number }> {
    const frame = await this.next(Command.SYNC);
    return { ...Sync.decode(frame.body), rid: frame.rid };
  }

  /** Inbox seqs of the PUSH_ACKs that came since the last call. */
  takeAcks(): number[] {
    const acks = this.frames.filter((frame) => frame.cmd === Command.PUSH_ACK);
    for (const ack of acks) this.frames.splice(this.frames.indexOf(ack), 1);
    return acks.map((frame) => PushAck.decode(frame.body).inboxSeq);
  }

  frame(cmd: number, body: Uint8Array, rid = 0, flags = rid === 0 ? 0 : Flag.REPLY, lease = NO_LEASE): void {
    if (!this.isOver) this.#listener.onData(encodeFrame({ cmd, rid, flags, lease, body }));
  }

  bytes(bytes: Uint8Array): void {
    if (!this.isOver) this.#listener.onData(bytes);
  }

  welcome(fields: Partial<Welcome> = {}): void {
    const welcome = { sessionId: "s1", userId: "alice", inboxEpoch: EPOCH, entryId: "entry-a", ...fields };
    this.frame(Command.WELCOME, Welcome.encode({ pingIntervalMs: QUIET_MS, ...welcome }), 1);
  }

  push(...events: Event[]): void {
    this.frame(Command.PUSH, Push.encode({ events }));
  }

  ack(send: Pick<Send, "clientMessageId"> & { rid: number }, fields: Partial<SendAck> = {}): void {
    const { clientMessageId, rid } = send;
    const ack = { clientMessageId, messageId: `id-${clientMessageId}`, conversationId: "c1", convSeq: 1, ...fields };
    this.frame(Command.SEND_ACK, SendAck.encode({ sentAtMs: 1_700_000_000_000, ...ack }), rid);
  }

  page(rid: number, fields: Partial<SyncPage>): void {
    this.frame(Command.SYNC_PAGE, SyncPage.encode({ inboxEpoch: EPOCH, ...fields }), rid);
  }

  historyPage(rid: number, fields: Partial<HistoryPage>): void {
    this.frame(Command.HISTORY_PAGE, HistoryPage.encode({ conversationId: "c1", ...fields }), rid);
  }

  snapshotPage(rid: number, fields: Partial<SnapshotPage>): void {
    this.frame(Command.SNAPSHOT_PAGE, SnapshotPage.encode({ inboxEpoch: EPOCH, ...fields }), rid);
  }

  pong(rid: number, inboxHead: number): void {
    this.frame(Command.PONG, Pong.encode({ inboxHead }), rid);
  }

  error(rid: number, code: number, fields: Partial<ErrorInfo> = {}): void {
    const body = ErrorInfo.encode({ code, reason: codeName(code), ...fields });
    this.frame(Command.ERROR, body, rid, Flag.REPLY | Flag.ERROR);
  }

  goaway(minDelayMs: number, maxDelayMs: number, endpoints: string[] = []): void {
    this.frame(Command.GOAWAY, Goaway.encode({ reason: "drain", minDelayMs, maxDelayMs, endpoints }));
  }

  kick(code: number, byDevice = ""): void {
    this.frame(Command.KICK, Kick.encode({ code, reason: codeName(code), byDevice }));
    this.drop(code);
  }

  /** The connection ends from the server's side. */
  drop(code = 1006, reason = ""): void {
    if (this.isOver) return;
    this.#isEnded = true;
    this.#listener.onClose(code, reason);
  }
}

/** What the client dials. */
export class FakeServer {
  readonly connections: FakeConnection[] = [];
  /** Dials fail while this is set. */
  isDown = false;
  #taken = 0;

  /** Connections the client has not closed and the server has not ended. */
  get open(): FakeConnection[] {
    return this.connections.filter((connection) => !connection.isOver);
  }

  readonly transport: Transport = (_url, listener) => {
    const connection = new FakeConnection(listener);
    if (this.isDown) {
      queueMicrotask(() => connection.isClosed || listener.onClose(1006, "connection refused"));
    } else {
      this.connections.push(connection);
      queueMicrotask(() => connection.isClosed || listener.onOpen());
    }
    return {
      send: (bytes) => connection.take(bytes),
      close: () => {
        connection.isClosed = true;
      },
    };
  };

  /** The next connection that was dialled. */
  async accept(): Promise<FakeConnection> {
    await until(() => this.connections.length > this.#taken, "a dial");
    const connection = this.connections[this.#taken++];
    assert.ok(connection);
    return connection;
  }

  /** Accepts and answers HELLO. */
  async login(fields: Partial<Welcome> = {}): Promise<FakeConnection> {
    const connection = await this.accept();
    await connection.hello();
    connection.welcome(fields);
    return connection;
  }
}

/** A client against a {@link FakeServer}, with a clock that stands still. `random` gives 0.5 unless told otherwise. */
export function setup(options: Partial<ImClientOptions> = {}): {
  client: ImClient;
  server: FakeServer;
  clock: FakeClock;
  /** `text` of every message so far. */
  shown: string[];
  /** `kind` of every state so far. */
  states: string[];
} {
  const clock = new FakeClock();
  const server = new FakeServer();
  const client = new ImClient({
    url: "wss://im.example/ws",
    getToken: () => "token",
    deviceId: "device-1",
    transport: server.transport,
    clock,
    random: () => 0.5,
    ...options,
  });
  const shown: string[] = [];
  const states: string[] = [];
  client.on("message", (message) => shown.push(message.text));
  client.on("state", (state) => states.push(state.kind));
  return { client, server, clock, shown, states };
}
