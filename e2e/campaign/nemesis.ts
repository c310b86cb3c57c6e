// SPDX-License-Identifier: Apache-2.0
import type { FaultClass, HistoryRecorder } from "../checker/history.ts";
import { monotonicMs } from "../checker/history.ts";
import { describeFault, type Fault } from "./schedule.ts";

/** What a fault did to the world, and how to undo it. */
export interface FaultSite {
  /** Carries a fault out; resolves with what heals it. */
  strike(fault: Fault): Promise<() => Promise<void>>;
  /** How far the fault may delay pushes. */
  classOf(fault: Fault): FaultClass;
}

/** Options of {@link Nemesis}. */
export interface NemesisOptions {
  site: FaultSite;
  recorder: HistoryRecorder;
  schedule: readonly Fault[];
  /** Now on the clock of the schedule, ms since the begin of the load. */
  nowMs?: () => number;
}

const POLL_MS = 20;

/** Carries out a schedule. A fault begins when it is due, its lane's last one is healed, and its target is whole. */
export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #active = new Map<Fault, number>();
  #done = 0;
  #startedMs = 0;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** Faults that are in force now. */
  get active(): readonly Fault[] {
    return [...this.#active.keys()];
  }

  /** Faults that were in force. */
  get done(): number {
    return this.#done;
  }

  /**
   * Resolves when all faults are healed; a fault that cannot begin in the time of the schedule is left out.
   * @throws what striking or healing threw, after all lanes have healed
   */
  async run(durationMs: number): Promise<void> {
    const { schedule } = this.#options;
    this.#startedMs = performance.now();
    const lanes = new Set(schedule.map(({ lane }) => lane));
    const results = await Promise.allSettled(
      [...lanes].map(async (lane) => {
        for (const fault of schedule) if (fault.lane === lane) await this.#carryOut(fault, durationMs);
      }),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? performance.now() - this.#startedMs;
  }

  async #carryOut(fault: Fault, durationMs: number): Promise<void> {
    await sleep(fault.atMs - this.#nowMs());
    while (this.active.some(({ target }) => target === fault.target)) await sleep(POLL_MS);
    if (this.#nowMs() + fault.durationMs > durationMs) return;
    const { site, recorder } = this.#options;
    const atMs = monotonicMs();
    this.#active.set(fault, atMs);
    try {
      const heal = await site.strike(fault);
      await sleep(fault.durationMs);
      await heal();
    } finally {
      this.#active.delete(fault);
      this.#done++;
      const what = describeFault(fault);
      const faultClass = site.classOf(fault);
      const untilMs = monotonicMs();
      recorder.record({ op: "fault", kind: "info", process: "nemesis", what, faultClass, atMs, untilMs });
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
