// SPDX-License-Identifier: Apache-2.0
// Two people whose networks go away in turn, as in an elevator, while both go on writing.
import { setTimeout as sleep } from "node:timers/promises";
import { ImClient } from "#client";
import { waitUntil } from "../harness/processes.ts";
import { type ClientTarget, firstUrl, targetTransport } from "../workload/sdk-transport.ts";

/** Options of {@link ride}. */
export interface RideOptions {
  /** Both sides. */
  targets: readonly [ClientTarget, ClientTarget];
  getToken(userId: string): Promise<string>;
  /** Seconds without network, one after the other, on the first and the second side in turn. */
  cutsS: readonly number[];
  /** Takes a side's network away; the result brings it back. */
  cut(side: 0 | 1): Promise<() => Promise<void>>;
  /** Each side writes this often, whatever became of the message before. */
  sendEveryMs: number;
  /** A cut begins when all is quiet again, at the latest after this. */
  settleTimeoutMs: number;
  progress(text: string): void;
}

/** What became of it. `lost`, `duplicated` and `reordered` must be 0. */
export interface RideFigures {
  cuts: number;
  sent: number;
  acked: number;
  failed: number;
  shown: number;
  lost: number;
  duplicated: number;
  reordered: number;
  reconnects: number;
  /** From the end of a cut to the acknowledgement of everything written until then. */
  catchUpMaxMs: number;
}

const PAUSE_MS = 2000;

class Rider {
  readonly uid: string;
  readonly client: ImClient;
  readonly sent: string[] = [];
  readonly shown: string[] = [];
  acked = 0;
  failed = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(uid: string, target: ClientTarget, getToken: (uid: string) => Promise<string>) {
    this.uid = uid;
    this.client = new ImClient({
      url: firstUrl(target),
      transport: targetTransport(target),
      getToken: () => getToken(uid),
      deviceId: uid,
      platform: "android",
      outboxLimit: 100_000,
    });
    this.client.on("message", ({ own, text }) => {
      if (!own) this.shown.push(text);
    });
  }

  get waiting(): number {
    return this.sent.length - this.acked - this.failed;
  }

  startWriting(to: string, everyMs: number): void {
    this.#timer = setInterval(() => {
      const text = `${this.uid} ${this.sent.length}`;
      this.sent.push(text);
      this.client.send({ to, content: text }).then(
        () => this.acked++,
        () => this.failed++,
      );
    }, everyMs);
  }

  stopWriting(): void {
    clearInterval(this.#timer);
  }
}

/** Judges what one side was shown of what the other sent. Pure. */
export function judge(
  sent: readonly string[],
  shown: readonly string[],
): Pick<RideFigures, "lost" | "duplicated" | "reordered"> {
  const places = new Map(sent.map((text, at) => [text, at]));
  const seen = new Set<string>();
  let [duplicated, reordered, last] = [0, 0, -1];
  for (const text of shown) {
    if (seen.has(text)) {
      duplicated++;
      continue;
    }
    seen.add(text);
    const at = places.get(text) ?? -1;
    if (at < last) reordered++;
    last = Math.max(last, at);
  }
  return { lost: sent.filter((text) => !seen.has(text)).length, duplicated, reordered };
}

/** Rides to the end: all cuts, then until everything has come. @throws Error when it does not come in time */
export async function ride(options: RideOptions): Promise<RideFigures> {
  const { targets, cutsS, sendEveryMs, settleTimeoutMs } = options;
  const run = Math.random().toString(36).slice(2, 8);
  const riders = targets.map((target, side) => new Rider(`${run}-${side}`, target, options.getToken));
  const [a, b] = riders as [Rider, Rider];
  let catchUpMaxMs = 0;
  try {
    for (const { client } of riders) client.connect();
    await Promise.all(riders.map(({ client }) => client.ready({ signal: AbortSignal.timeout(settleTimeoutMs) })));
    a.startWriting(b.uid, sendEveryMs);
    b.startWriting(a.uid, sendEveryMs);
    for (const [at, seconds] of cutsS.entries()) {
      await sleep(PAUSE_MS);
      const side = (at % 2) as 0 | 1;
      const rider = side === 0 ? a : b;
      options.progress(`side ${side} without network for ${seconds} s`);
      const heal = await options.cut(side);
      await sleep(seconds * 1000);
      await heal();
      const healedMs = performance.now();
      const target = rider.sent.length;
      await waitUntil("what waited is acknowledged", () => rider.acked + rider.failed >= target, settleTimeoutMs);
      const catchUpMs = Math.round(performance.now() - healedMs);
      catchUpMaxMs = Math.max(catchUpMaxMs, catchUpMs);
      options.progress(`caught up after ${catchUpMs} ms; ${rider.client.stats.reconnects} reconnects so far`);
    }
    for (const rider of riders) rider.stopWriting();
    await waitUntil("everything is acknowledged", () => a.waiting + b.waiting === 0, settleTimeoutMs);
    const isShown = (): boolean => a.shown.length >= b.acked && b.shown.length >= a.acked;
    await waitUntil("everything is shown", isShown, settleTimeoutMs).catch(() => undefined);
    const judged = [judge(a.sent, b.shown), judge(b.sent, a.shown)];
    const sum = (of: (one: (typeof judged)[number]) => number): number => judged.reduce((all, one) => all + of(one), 0);
    return {
      cuts: cutsS.length,
      sent: a.sent.length + b.sent.length,
      acked: a.acked + b.acked,
      failed: a.failed + b.failed,
      shown: a.shown.length + b.shown.length,
      lost: sum(({ lost }) => lost),
      duplicated: sum(({ duplicated }) => duplicated),
      reordered: sum(({ reordered }) => reordered),
      reconnects: a.client.stats.reconnects + b.client.stats.reconnects,
      catchUpMaxMs,
    };
  } finally {
    for (const rider of riders) rider.stopWriting();
    await Promise.all(riders.map(({ client }) => client.close()));
  }
}
