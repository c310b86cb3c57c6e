// SPDX-License-Identifier: Apache-2.0
import { LatencyHistogram } from "../e2e/workload/latency-histogram.ts";
import type { LoadClient, LoadListener } from "./load-client.ts";

/** First bytes of a content: when it was due (double, ms) and its number (uint32). */
const STAMP_BYTES = 12;
const MAX_MESSAGES = 1 << 25;
const DRAIN_TIMEOUT_MS = 15_000;
const OPEN_LOOP_STEP_MS = 1;

/** What one phase measured. */
export interface PhaseFigures {
  seconds: number;
  sent: number;
  acked: number;
  /** Each message once. */
  delivered: number;
  duplicates: number;
  refused: number;
  messagesPerSecond: number;
  ackP50Ms: number;
  ackP99Ms: number;
  deliveredP50Ms: number;
  deliveredP99Ms: number;
  /** Acknowledged messages that were not pushed 15 s after the last send. */
  undelivered: number;
  /** Share of a core that the generator used. */
  generatorCpuRatio: number;
}

/** Messages to and fro between logged-in users. One phase at a time. */
export class LoadRun implements LoadListener {
  readonly #users: readonly LoadClient[];
  readonly #content: Buffer;
  readonly #seen = new Uint8Array(MAX_MESSAGES);
  readonly #dueByRequest = new Map<LoadClient, Map<number, number>>();
  #next = 0;
  #ackLatency = new LatencyHistogram();
  #deliveryLatency = new LatencyHistogram();
  #sent = 0;
  #acked = 0;
  #delivered = 0;
  #duplicates = 0;
  #refused = 0;
  /** Acknowledgements and deliveries inside the phase's time, for the rate. */
  #closedLoop = false;
  #brokenWhy: string | undefined;
  readonly #prefix = Math.random().toString(36).slice(2, 8);

  constructor(users: readonly LoadClient[], contentBytes: number) {
    this.#users = users;
    this.#content = Buffer.alloc(Math.max(contentBytes, STAMP_BYTES), "x");
    for (const user of users) this.#dueByRequest.set(user, new Map());
  }

  /** Every user keeps `window` messages in flight to random others. */
  async closedLoop(seconds: number, window: number): Promise<PhaseFigures> {
    return await this.#phase(seconds, async () => {
      this.#closedLoop = true;
      for (const user of this.#users) for (let i = 0; i < window; i++) this.#send(user, performance.now());
      await sleep(seconds * 1000);
      this.#closedLoop = false;
    });
  }

  /** `rate` messages per second on a fixed schedule, whatever the server does: latency counts from when each was due. */
  async openLoop(seconds: number, rate: number): Promise<PhaseFigures> {
    return await this.#phase(seconds, async () => {
      const startedMs = performance.now();
      const total = Math.floor(seconds * rate);
      for (let i = 0; i < total; ) {
        const nowMs = performance.now();
        for (; i < total; i++) {
          const dueMs = startedMs + (i * 1000) / rate;
          if (dueMs > nowMs) break;
          const user = this.#users[i % this.#users.length];
          if (user) this.#send(user, dueMs);
        }
        await sleep(OPEN_LOOP_STEP_MS);
      }
    });
  }

  async #phase(seconds: number, run: () => Promise<void>): Promise<PhaseFigures> {
    this.#ackLatency = new LatencyHistogram();
    this.#deliveryLatency = new LatencyHistogram();
    this.#sent = this.#acked = this.#delivered = this.#duplicates = this.#refused = 0;
    const startedMs = performance.now();
    const cpu = process.cpuUsage();
    await run();
    const elapsedMs = performance.now() - startedMs;
    const used = process.cpuUsage(cpu);
    // The rate counts what was complete at the end of the time, not what trickles in afterwards.
    const completed = Math.min(this.#acked, this.#delivered);
    await this.#drain();
    if (this.#brokenWhy) throw new Error(`a connection broke: ${this.#brokenWhy}`);
    return {
      seconds,
      sent: this.#sent,
      acked: this.#acked,
      delivered: this.#delivered,
      duplicates: this.#duplicates,
      refused: this.#refused,
      messagesPerSecond: Math.round((completed * 1000) / elapsedMs),
      ackP50Ms: this.#ackLatency.quantileMs(0.5),
      ackP99Ms: this.#ackLatency.quantileMs(0.99),
      deliveredP50Ms: this.#deliveryLatency.quantileMs(0.5),
      deliveredP99Ms: this.#deliveryLatency.quantileMs(0.99),
      undelivered: this.#acked - this.#delivered,
      generatorCpuRatio: Math.round((used.user + used.system) / elapsedMs / 10) / 100,
    };
  }

  /** Waits until everything sent is acknowledged and delivered. */
  async #drain(): Promise<void> {
    const deadlineMs = performance.now() + DRAIN_TIMEOUT_MS;
    while (performance.now() < deadlineMs) {
      if (this.#acked + this.#refused >= this.#sent && this.#delivered >= this.#acked) return;
      await sleep(5);
    }
  }

  #send(user: LoadClient, dueMs: number): void {
    const number = this.#next++ % MAX_MESSAGES;
    this.#seen[number] = 0;
    this.#content.writeDoubleLE(dueMs, 0);
    this.#content.writeUInt32LE(number, 8);
    const peer = this.#peerOf(user);
    const rid = user.send(peer.id, `${this.#prefix}-${number}`, this.#content);
    this.#dueByRequest.get(user)?.set(rid, dueMs);
    this.#sent++;
  }

  #peerOf(user: LoadClient): LoadClient {
    for (;;) {
      const peer = this.#users[Math.floor(Math.random() * this.#users.length)];
      if (peer && (peer !== user || this.#users.length === 1)) return peer;
    }
  }

  acked(user: LoadClient, rid: number): void {
    const due = this.#dueByRequest.get(user);
    const dueMs = due?.get(rid);
    if (dueMs === undefined) return;
    due?.delete(rid);
    this.#acked++;
    this.#ackLatency.add(performance.now() - dueMs);
    if (this.#closedLoop) this.#send(user, performance.now());
  }

  delivered(content: Buffer): void {
    if (content.length < STAMP_BYTES) return;
    const number = content.readUInt32LE(8);
    if (this.#seen[number] === 1) {
      this.#duplicates++;
      return;
    }
    this.#seen[number] = 1;
    this.#delivered++;
    this.#deliveryLatency.add(performance.now() - content.readDoubleLE(0));
  }

  refused(user: LoadClient, rid: number, retryAfterMs: number): void {
    if (!this.#dueByRequest.get(user)?.delete(rid)) return;
    this.#refused++;
    if (!this.#closedLoop) return;
    setTimeout(
      () => {
        if (this.#closedLoop) this.#send(user, performance.now());
      },
      Math.max(1, retryAfterMs),
    ).unref();
  }

  broken(user: LoadClient, why: string): void {
    this.#brokenWhy ??= `${user.id}: ${why}`;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
