// SPDX-License-Identifier: Apache-2.0
// Pairs of people who chat in both directions while something may go wrong, and what became of every message.
import type { Timing } from "#client";
import { checkHistory, type HistoryCounts } from "../checker/check-history.ts";
import { type HistoryEvent, HistoryRecorder, type StoredMessage } from "../checker/history.ts";
import type { Violation } from "../checker/violation.ts";
import { textOf } from "../harness/text.ts";
import { LatencyHistogram } from "./latency-histogram.ts";
import { Peer } from "./peer.ts";
import { Progress } from "./progress.ts";
import type { ClientTarget } from "./sdk-transport.ts";

/** Two people and where each connects. */
export interface Pair {
  a: ClientTarget;
  b: ClientTarget;
}

/** One side of a pair is away while its peer sends this share of its messages, e.g. from 1/3 to 2/3. */
export interface OfflineWindow {
  pair: number;
  side: "a" | "b";
  from: number;
  to: number;
}

/** Options of {@link runPairs}. */
export interface PairsOptions {
  pairs: readonly Pair[];
  /** Access token for a user id of this run. */
  getToken(userId: string): Promise<string>;
  /** In all; spread evenly over the senders. */
  messages: number;
  /** Messages per second in all, evenly; default: each sender sends when its last message was acknowledged. */
  ratePerSecond?: number;
  offline?: readonly OfflineWindow[];
  /** Who has sent all goes on until the nemesis has ended, up to {@link LONGEST} times as much. Default false. */
  untilNemesisEnds?: boolean;
  /** Runs beside the load; a fault that it throws fails the run. The run ends only when it has ended. */
  nemesis?: (run: NemesisView) => Promise<void>;
  /** Reads all message rows at the end: then the checks include the store. */
  readStored?: () => Promise<StoredMessage[]>;
  /** Writes the history there as JSON lines. */
  historyPath?: string;
  /** Names users and messages of this run. Default: random. */
  seed?: string;
  /** For what may still be on its way at the end. Default 60 s. */
  settleTimeoutMs?: number;
  /** Of what is said; see `PeerOptions`. */
  contentType?: string;
  /** After so many messages each sender edits or, in turn, recalls one of its newest. Default: never. */
  changeEvery?: number;
  /** Of the SDK clients, e.g. a short `pongTimeoutMs`. */
  timing?: Partial<Timing>;
  onProgress?: (sent: number, total: number) => void;
}

/** What a nemesis may see and note. */
export interface NemesisView {
  /** Resolves when this share of all messages was sent. */
  reached(share: number): Promise<void>;
  /** Notes a fault in the history. */
  note(what: string): void;
}

/** What became of the messages. `lost`, `duplicated` and `reordered` must be 0. */
export interface PairsReport {
  sent: number;
  acked: number;
  /** Recalls and edits that were acknowledged. */
  changed: number;
  /** Distinct messages shown to the devices they were sent to. */
  delivered: number;
  lost: number;
  duplicated: number;
  reordered: number;
  /** Divergent or unexpected content. */
  corrupted: number;
  ackP50Ms: number;
  ackP99Ms: number;
  reconnects: number;
  seconds: number;
  violations: Violation[];
  counts: HistoryCounts;
  events: readonly HistoryEvent[];
}

/** A nemesis that never ends is a fault, not a reason to send for ever. */
const LONGEST = 20;
/** Not the newest message: one that has been shown is changed on a screen, one that is on its way is not. */
const CHANGED_BEHIND = 2;
const DEFAULT_SETTLE_MS = 60_000;
/** Of the second device that reads every inbox from its beginning at the end. */
const AUDIT_DEVICE = "audit";

/** The figures alone, in the order in which people read them: the last line of a script. */
export function pairsFigures(report: PairsReport): Omit<PairsReport, "violations" | "counts" | "events"> {
  const { violations: _violations, counts: _counts, events: _events, ...figures } = report;
  return figures;
}

/**
 * Runs the workload to its end: all messages sent, everybody online again, every inbox read from its beginning by a
 * second device, history checked. Resolves also when promises were broken: look at the report.
 * @throws Error when a client cannot log in, or when the nemesis throws
 */
export async function runPairs(options: PairsOptions): Promise<PairsReport> {
  const startedMs = performance.now();
  const run = new PairsRun(options);
  try {
    await run.send();
    await run.settle();
    return await run.report(startedMs);
  } finally {
    await run.close();
  }
}

/** One direction of a pair. */
interface Sender {
  peer: Peer;
  to: Peer;
  total: number;
  progress: Progress;
  windows: readonly OfflineWindow[];
  /** Resolves when the peer came back from its last absence. */
  back: Promise<void>;
  acked: string[];
}

class PairsRun {
  readonly #options: PairsOptions;
  readonly #recorder: HistoryRecorder;
  readonly #ackLatency = new LatencyHistogram();
  readonly #senders: Sender[];
  readonly #audits: Peer[] = [];
  readonly #progress: Progress;
  #reconnects = 0;
  #nemesisRuns = false;

  constructor(options: PairsOptions) {
    const { pairs, messages, seed = Math.random().toString(36).slice(2, 10) } = options;
    this.#options = options;
    this.#recorder = new HistoryRecorder(seed, options.historyPath);
    this.#progress = new Progress(messages);
    const directions = pairs.length * 2;
    const share = (i: number): number => Math.floor(messages / directions) + (i < messages % directions ? 1 : 0);
    this.#senders = pairs.flatMap((pair, index) => {
      const a = this.#peer(`${seed}-a${index}`, "phone", pair.a);
      const b = this.#peer(`${seed}-b${index}`, "phone", pair.b);
      const windows = (side: "a" | "b"): OfflineWindow[] =>
        (options.offline ?? []).filter((window) => window.pair === index && window.side === side);
      return [
        this.#sender(a, b, share(index * 2), windows("a")),
        this.#sender(b, a, share(index * 2 + 1), windows("b")),
      ];
    });
  }

  #peer(uid: string, device: string, target: ClientTarget): Peer {
    const getToken = (): Promise<string> => this.#options.getToken(uid);
    const platform = device === AUDIT_DEVICE ? "desktop" : "android";
    const { timing = {}, contentType } = this.#options;
    const type = contentType === undefined ? {} : { contentType };
    const shared = { recorder: this.#recorder, ackLatency: this.#ackLatency, timing, ...type };
    return new Peer({ uid, device, platform, target, getToken, ...shared });
  }

  #sender(peer: Peer, to: Peer, total: number, windows: readonly OfflineWindow[]): Sender {
    return { peer, to, total, windows, progress: new Progress(total), back: Promise.resolve(), acked: [] };
  }

  /** Everybody logs in, sends, goes away and comes back, while the nemesis does its work. */
  async send(): Promise<void> {
    await Promise.all(this.#senders.map(({ peer }) => peer.goOnline()));
    const view: NemesisView = {
      reached: (share) => this.#progress.reached(share),
      note: (what) => this.#recorder.record({ op: "fault", kind: "info", process: "nemesis", what }),
    };
    const [nemesis] = await Promise.allSettled([
      this.#disturb(view),
      ...this.#senders.map((sender) => this.#absences(sender)),
      ...this.#senders.map((sender) => this.#sendAll(sender)),
    ]);
    if (nemesis?.status === "rejected") throw nemesis.reason;
  }

  async #disturb(view: NemesisView): Promise<void> {
    this.#nemesisRuns = this.#options.untilNemesisEnds ?? false;
    try {
      await this.#options.nemesis?.(view);
    } finally {
      this.#nemesisRuns = false;
    }
  }

  async #sendAll(sender: Sender): Promise<void> {
    const { ratePerSecond, changeEvery = 0 } = this.#options;
    const intervalMs = ratePerSecond === undefined ? 0 : (1000 * this.#senders.length) / ratePerSecond;
    const startedMs = performance.now();
    const goesOn = (i: number): boolean => i < sender.total || (this.#nemesisRuns && i < sender.total * LONGEST);
    for (let i = 0; goesOn(i); i++) {
      await sleepUntil(startedMs + i * intervalMs);
      await sender.back;
      const cmid = `${sender.peer.uid}-${i}`;
      if (await sender.peer.send(sender.to.uid, cmid, textOf(i, cmid))) sender.acked.push(cmid);
      if (changeEvery > 0 && (i + 1) % changeEvery === 0) await this.#change(sender, (i + 1) / changeEvery);
      sender.progress.advance();
      this.#progress.advance();
      this.#options.onProgress?.(this.#progress.done, this.#progress.total);
    }
  }

  async #change(sender: Sender, number: number): Promise<void> {
    const told = await sender.peer.change(number % 2 === 0 ? "recall" : "edit", CHANGED_BEHIND);
    if (told) sender.acked.push(told.cmid);
  }

  /** Takes the sender's device away while its peer sends on. */
  async #absences(sender: Sender): Promise<void> {
    const other = this.#senders.find(({ peer }) => peer === sender.to);
    for (const { from, to } of sender.windows) {
      await other?.progress.reached(from);
      const { promise, resolve } = Promise.withResolvers<void>();
      sender.back = promise;
      await sender.peer.idle();
      this.#recorder.record({ op: "fault", kind: "info", process: "nemesis", what: `${sender.peer.uid} goes offline` });
      await sender.peer.goOffline();
      await other?.progress.reached(to);
      await sender.peer.goOnline();
      resolve();
    }
  }

  /** Waits until everybody was shown everything, and reads each inbox from its beginning on a fresh device. */
  async settle(): Promise<void> {
    const timeoutMs = this.#options.settleTimeoutMs ?? DEFAULT_SETTLE_MS;
    await Promise.all(
      this.#senders.map(async (sender, i) => {
        const incoming = this.#senders.find(({ to }) => to === sender.peer)?.acked ?? [];
        await sender.peer.waitShown(incoming, timeoutMs);
        const pair = this.#options.pairs[Math.floor(i / 2)];
        if (!pair) return;
        const audit = this.#peer(sender.peer.uid, AUDIT_DEVICE, i % 2 === 0 ? pair.a : pair.b);
        this.#audits.push(audit);
        await audit.goOnline();
        await audit.waitShown([...incoming, ...sender.acked], timeoutMs);
      }),
    );
  }

  async report(startedMs: number): Promise<PairsReport> {
    const stored = await this.#options.readStored?.();
    const peers = [...this.#senders.map(({ peer }) => peer), ...this.#audits];
    const devices = peers.map(({ uid, device }) => ({ uid, device }));
    const { events } = this.#recorder;
    const { violations, counts } = checkHistory(events, { devices, ...(stored ? { stored } : {}) });
    const { C1, C2, C3, C4, C5, C6 } = counts.violations;
    const resets = peers.reduce((sum, peer) => sum + peer.resets, 0);
    this.#reconnects = peers.reduce((sum, peer) => sum + peer.reconnects, 0);
    return {
      sent: sendsOf(events, "invoke"),
      acked: sendsOf(events, "ok"),
      changed: counts.recalls + counts.edits,
      delivered: this.#senders.reduce((sum, { peer }) => sum + peer.deliveredCount, 0),
      lost: C1,
      duplicated: C2 + resets,
      reordered: C3 + C6,
      corrupted: C4 + C5,
      ackP50Ms: this.#ackLatency.quantileMs(0.5),
      ackP99Ms: this.#ackLatency.quantileMs(0.99),
      reconnects: this.#reconnects,
      seconds: Math.round(performance.now() - startedMs) / 1000,
      violations,
      counts,
      events,
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#senders.map(({ peer }) => peer), ...this.#audits].map((peer) => peer.goOffline()));
    await this.#recorder.close();
  }
}

/** Messages with such an event. The checker's counts have recalls and edits in them, which no client repeats by itself. */
function sendsOf(events: readonly HistoryEvent[], kind: "invoke" | "ok"): number {
  const found = events.flatMap((event) => (event.op === "send" && event.kind === kind ? [event.cmid] : []));
  return new Set(found).size;
}

async function sleepUntil(atMs: number): Promise<void> {
  const delayMs = atMs - performance.now();
  if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
}
