// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { Command, Flag } from "#proto/commands.ts";
import { Disconnect, Hello, LoginReply, LoginRequest, SendAck, Welcome } from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { createGate, type Gate, type LimitsConfig } from "../../gateway/gate.ts";
import { ClientDoor } from "../../gateway/listen/door.ts";
import { EntryMetrics } from "../../gateway/metrics.ts";
import { TICK_MS } from "../../gateway/session/heartbeat/heartbeats.ts";
import { Hub } from "../../gateway/session/hub.ts";
import { EntryStats } from "../../gateway/session/stats.ts";
import type { LogicPort } from "../../gateway/session/uplink-port.ts";
import { MemorySocket } from "./memory-socket.ts";

const MAX_TURNS = 40;
/** Turns without the clock: an orderly end needs no deadline. */
const PATIENT_TURNS = 6;
const DEADLINE_TICKS = 12;
const PROXY = "198.51.100.1";
const ADDRESS = "127.0.0.1:1";
/** As the key of an internal certificate: both ends of the fuzzer know it. */
export const LEASE_SECRET = Buffer.from("the key of a certificate, in memory");
/** As by default, where only clients of the proxy are known: high enough that what a case does is read. */
const LIMITS: LimitsConfig = {
  proxyCidrs: [`${PROXY}/32`],
  limitsPeers: false,
  addressConnectionsPerSecond: 1000,
  addressConnections: 2000,
  addressFailedLoginsPerMinute: 60,
  framesPerSecond: 500,
  bytesPerSecond: 2 * 1024 * 1024,
  userMessagesPerSecond: 200,
  shedLagMs: 0,
  shedMemoryPercent: 100,
};

/** A logic that lets everybody in whose HELLO can be read, and acknowledges every SEND; answers when asked to. */
class MemoryLogic implements LogicPort {
  readonly name = "memory";
  readonly isUsable = true;
  load = 0;
  #waiting: RecordInput[] = [];

  send(record: RecordInput): boolean {
    const isAnswered = record.kind === RecordKind.LOGIN || record.cmd === Command.SEND;
    if (isAnswered) this.#waiting.push({ ...record, body: Uint8Array.from(record.body ?? []) });
    return true;
  }

  sendControl(): void {}

  answer(hub: Hub): void {
    const records = this.#waiting;
    this.#waiting = [];
    for (const record of records) {
      const connection = hub.find(record.conn ?? 0);
      if (record.kind === RecordKind.LOGIN) {
        const reply = loginReply(record.body ?? new Uint8Array());
        if (reply) connection?.onLoginOk(reply);
        else connection?.onLoginDenied(Disconnect.decode(Disconnect.encode({ code: 4502, reason: "no HELLO" })));
      } else {
        const body = SendAck.encode({ clientMessageId: "m", convSeq: 1 });
        connection?.onReply(Command.SEND_ACK, Flag.REPLY, record.rid ?? 0, 0, body);
      }
    }
  }
}

function loginReply(body: Uint8Array): LoginReply | undefined {
  try {
    const userId = Hello.decode(LoginRequest.decode(body).hello).deviceId;
    const welcome = Welcome.encode({ proto: 1, userId, inboxEpoch: "e" });
    return LoginReply.decode(LoginReply.encode({ userId, slot: "web", tag: Buffer.from("t"), welcome, loginSeq: 1 }));
  } catch {
    return undefined;
  }
}

/** The listeners and sessions of an entry in this process, on sockets of memory. */
export class MemoryDoor {
  readonly hub: Hub;
  readonly door: ClientDoor;
  readonly #logic = new MemoryLogic();
  readonly #clock = new FakeClock();
  readonly #gate: Gate;

  constructor() {
    const stats = new EntryStats();
    const metrics = new EntryMetrics(new Metrics(), stats);
    this.#gate = createGate(LIMITS, this.#clock, metrics);
    this.hub = new Hub({
      clock: this.#clock,
      log: silentLogger,
      stats,
      metrics,
      limits: this.#gate.limits,
      logics: { choose: () => this.#logic, attaches: 1, tellAll: () => undefined },
      loginTimeoutMs: 10_000,
      pingIntervalMs: 30_000,
    });
    this.door = new ClientDoor({
      hub: this.hub,
      maxConnections: 1000,
      isDraining: () => false,
      isReady: () => true,
      http: {
        ...{ clock: this.#clock, log: silentLogger, origins: new Set<string>(), endpoints: [] },
        tls: () => ({ ca: Buffer.alloc(0), cert: Buffer.alloc(0), key: LEASE_SECRET }),
        address: () => ADDRESS,
      },
      demo: undefined,
    });
  }

  /** Of its clock, ms. */
  get wallMs(): number {
    return this.#clock.wallMs();
  }

  /** A client a second: what the wheel holds of those that went is let go. */
  open(isProxied: boolean): MemorySocket {
    this.hub.heartbeats.tick();
    this.#clock.advance(TICK_MS);
    const socket = new MemorySocket();
    if (isProxied) socket.remoteAddress = PROXY;
    this.#gate.front.accept(socket.asSocket, (accepted) => {
      this.door.onSocket(accepted, false);
      accepted.resume();
    });
    return socket;
  }

  /** One turn of the event loop, and the answers of logic. */
  async turn(): Promise<void> {
    await turn();
    this.#logic.answer(this.hub);
  }

  /** Waits until nothing of this socket is left here, at last by its deadlines. False: something is. */
  async drained(socket: MemorySocket): Promise<boolean> {
    for (let i = 0; i < MAX_TURNS; i++) {
      if (socket.closed && this.isEmpty) return true;
      await this.turn();
      if (i === PATIENT_TURNS) this.#clock.advance(DEADLINE_TICKS * TICK_MS);
      if (i === PATIENT_TURNS) for (let tick = 0; tick < DEADLINE_TICKS; tick++) this.hub.heartbeats.tick();
    }
    return false;
  }

  get isEmpty(): boolean {
    return this.hub.connections === 0 && this.hub.lingering === 0 && this.door.pending === 0;
  }
}
