// SPDX-License-Identifier: Apache-2.0
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "#proto/commands.ts";
import { Hello } from "#proto/gen/messages.ts";
import { LatencyHistogram } from "../e2e/workload/latency-histogram.ts";
import { FrameReader, frameOf, sendFrame } from "./wire.ts";

/** One buffer for all sockets: what is read is handled before the next read. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
const LOGIN_TIMEOUT_MS = 60_000;
const LOGINS_AT_A_TIME = 100;
const STEP_MS = 1;
const DRAIN_MS = 5000;
const CONTENT = Buffer.alloc(200, "x");

interface Member {
  socket: Socket;
  /** When each message that waits for its answer was due, oldest first: answers come in order. */
  due: number[];
  isReading: boolean;
}

/** What {@link EchoCrowd.paced} saw. */
export interface PacedFigures {
  p50Ms: number;
  p99Ms: number;
  unanswered: number;
}

/** Connections that send SEND frames and count what comes back: acknowledgements of an entry, or the frames of an echo. */
export class EchoCrowd {
  readonly #port: number;
  readonly #logsIn: boolean;
  readonly #members: Member[] = [];
  #latency = new LatencyHistogram();
  #answered = 0;
  /** In one write, while saturating. */
  #batch = 0;

  /** @param logsIn to an entry, which answers a HELLO */
  constructor(port: number, logsIn: boolean) {
    this.#port = port;
    this.#logsIn = logsIn;
  }

  /** Resolves when all are connected, and logged in where that is needed. */
  async connect(count: number, prefix: string): Promise<void> {
    for (let at = 0; at < count; at += LOGINS_AT_A_TIME) {
      const some = Array.from({ length: Math.min(LOGINS_AT_A_TIME, count - at) }, (_, i) =>
        this.#join(`${prefix}-${at + i}`),
      );
      await Promise.all(some);
    }
  }

  #join(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${name}: no answer in time`)), LOGIN_TIMEOUT_MS);
      const joined = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const reader = new FrameReader({
        frame: (cmd) => {
          if (cmd === Command.WELCOME) joined();
          else if (cmd === Command.SEND_ACK || cmd === Command.SEND) this.#onAnswer(member);
        },
      });
      const onRead = (bytes: number, buffer: Uint8Array): boolean => {
        reader.push(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
        return member.isReading;
      };
      const host = "127.0.0.1";
      const socket = connect({
        port: this.#port,
        host,
        noDelay: true,
        onread: { buffer: READ_BUFFER, callback: onRead },
      });
      const member: Member = { socket, due: [], isReading: true };
      this.#members.push(member);
      socket.on("error", (error) => {
        socket.destroy();
        reject(error);
      });
      socket.once("connect", () => {
        if (!this.#logsIn) return joined();
        const hello = Hello.encode({ protoMin: 1, protoMax: 1, deviceId: name, platform: "android", token: "t" });
        socket.write(frameOf(Command.HELLO, 1, hello));
      });
    });
  }

  #onAnswer(member: Member): void {
    const dueMs = member.due.shift();
    if (dueMs === undefined) return;
    this.#answered++;
    this.#latency.add(performance.now() - dueMs);
    if (member.due.length === 0 && this.#batch > 0) this.#send(member, this.#batch, performance.now());
  }

  #send(member: Member, count: number, dueMs: number): void {
    const frames = Array.from({ length: count }, (_, i) => sendFrame(2 + i, "peer", "bench", CONTENT));
    for (let i = 0; i < count; i++) member.due.push(dueMs);
    member.socket.write(count === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
  }

  /** Everybody writes `batch` messages at once, and again when all of them are answered. @returns how many were answered */
  async saturate(seconds: number, batch: number): Promise<number> {
    const before = this.#answered;
    this.#batch = batch;
    for (const member of this.#members) this.#send(member, batch, performance.now());
    await sleep(seconds * 1000);
    this.#batch = 0;
    await this.#settle();
    return this.#answered - before;
  }

  /** `rate` messages per second on a fixed schedule; a latency counts from when its message was due. */
  async paced(seconds: number, rate: number): Promise<PacedFigures> {
    this.#latency = new LatencyHistogram();
    const startedMs = performance.now();
    for (let i = 0; i < seconds * rate; ) {
      const nowMs = performance.now();
      for (; i < seconds * rate; i++) {
        const dueMs = startedMs + (i * 1000) / rate;
        const member = this.#members[i % this.#members.length];
        if (dueMs > nowMs || !member) break;
        this.#send(member, 1, dueMs);
      }
      await sleep(STEP_MS);
    }
    const unanswered = await this.#settle();
    return { p50Ms: this.#latency.quantileMs(0.5), p99Ms: this.#latency.quantileMs(0.99), unanswered };
  }

  /** Waits until everything is answered, 5 s at most; returns how many were not. */
  async #settle(): Promise<number> {
    const waiting = (): number => this.#members.reduce((sum, { due }) => sum + due.length, 0);
    const deadlineMs = performance.now() + DRAIN_MS;
    while (waiting() > 0 && performance.now() < deadlineMs) await sleep(STEP_MS);
    return waiting();
  }

  /** From here on nobody reads. */
  stopReading(): void {
    for (const member of this.#members) {
      member.isReading = false;
      member.socket.pause();
    }
  }

  close(): void {
    for (const { socket } of this.#members) socket.destroy();
  }
}
