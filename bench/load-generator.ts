// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { type GuardedProcess, startProcess } from "../e2e/harness/processes.ts";
import type { LoadLine, LoadOrder, LoadPhase } from "./load-process.ts";
import type { PhaseFigures } from "./load-run.ts";
import { type CpuTime, cpuSecondsBetween, machineBusySeconds } from "./process-cpu.ts";
import { type WorkCounts, workPerMessage } from "./work-counts.ts";

const PHASE_SLACK_MS = 90_000;

const startedMs = performance.now();

/** One line for whoever watches. */
export function progress(text: string): void {
  console.error(`[${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s] ${text}`);
}

/** How the servers behind a load are watched. */
export interface ServerWatch {
  /** CPU time so far of each process that works for the load. */
  cpu: () => Record<string, CpuTime>;
  count?: () => Promise<WorkCounts>;
}

/** A phase with what the servers used meanwhile. */
export interface Measured extends PhaseFigures {
  /** By server, and `total`. */
  cpuMicrosPerMessage: Record<string, number>;
  /** What the servers did per message, where it is counted. */
  workPerMessage: WorkCounts;
  /** Cores that neither servers nor generator used meanwhile: the figures of a run with much of it are worth little. */
  strangerCores: number;
}

/** The load generator as a process of its own. Its phases run one by one, when asked for. */
export class LoadGenerator {
  readonly #name: string;
  readonly #process: GuardedProcess;
  readonly #watch: ServerWatch;
  readonly #phases: LoadPhase[];

  private constructor(name: string, process: GuardedProcess, watch: ServerWatch, phases: LoadPhase[]) {
    this.#name = name;
    this.#process = process;
    this.#watch = watch;
    this.#phases = phases;
  }

  /** Resolves when all users are logged in. */
  static async start(name: string, order: LoadOrder, watch: ServerWatch): Promise<LoadGenerator> {
    const args = [join(import.meta.dirname, "load-process.ts"), JSON.stringify(order)];
    const process_ = await startProcess({ name: `load generator of ${name}`, command: process.execPath, args });
    const generator = new LoadGenerator(name, process_, watch, [...order.phases]);
    const ready = await generator.#line('{"ready":', PHASE_SLACK_MS);
    if ("ready" in ready) progress(`${name}: ${order.users} users logged in within ${ready.connectSeconds} s`);
    return generator;
  }

  /** Runs the next phase, sampling the servers' CPU at both of its ends. @throws Error when there is none */
  async next(): Promise<{ phase: LoadPhase; measured: Measured }> {
    const phase = this.#phases.shift();
    if (!phase) throw new Error(`${this.#name} has no phase left`);
    const countsBefore = await this.#watch.count?.();
    const before = this.#watch.cpu();
    const [startedMs, busyBefore] = [performance.now(), machineBusySeconds()];
    this.#process.signal("SIGUSR2");
    const line = await this.#line(`{"end":"${phase.name}"`, phase.seconds * 1000 + PHASE_SLACK_MS);
    const after = this.#watch.cpu();
    const seconds = (performance.now() - startedMs) / 1000;
    const busy = machineBusySeconds() - busyBefore;
    if (!("figures" in line)) throw new Error("the load generator printed no figures");
    const { figures } = line;
    const counts = await this.#watch.count?.();
    const used = Object.entries(after).map(
      ([server, time]) => [server, cpuSecondsBetween(before[server] ?? time, time)] as const,
    );
    const perMessage = (cpuSeconds: number): number =>
      Math.round((cpuSeconds * 1e7) / Math.max(1, figures.delivered)) / 10;
    const total = used.reduce((sum, [, cpuSeconds]) => sum + cpuSeconds, 0);
    const measured: Measured = {
      ...figures,
      cpuMicrosPerMessage: {
        ...Object.fromEntries(used.map(([server, cpuSeconds]) => [server, perMessage(cpuSeconds)])),
        total: perMessage(total),
      },
      workPerMessage: counts ? workPerMessage(countsBefore ?? {}, counts, figures.delivered) : {},
      strangerCores: Math.max(0, round((busy - total) / seconds - figures.generatorCpuRatio)),
    };
    progress(`${this.#name}, ${phase.name}: ${describe(measured)}`);
    return { phase, measured };
  }

  /** Call after the last phase: resolves when its last receipts are written and it has ended. */
  async end(): Promise<void> {
    await this.#process.waitForExit(PHASE_SLACK_MS);
  }

  async #line(start: string, timeoutMs: number): Promise<LoadLine> {
    const escaped = start.replace(/[{}"]/g, "\\$&");
    const [text] = await this.#process.waitForOutput(new RegExp(`^${escaped}.*$`, "m"), timeoutMs);
    return JSON.parse(text) as LoadLine;
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function describe(measured: Measured): string {
  const { total, ...servers } = measured.cpuMicrosPerMessage;
  const work = Object.entries(measured.workPerMessage).map(([kind, count]) => `${kind} ${count}`);
  const shares = Object.entries(servers).map(([server, micros]) => `${server} ${micros}`);
  return [
    `${measured.messagesPerSecond}/s`,
    `ack ${measured.ackP50Ms}/${measured.ackP99Ms} ms`,
    `delivered ${measured.deliveredP50Ms}/${measured.deliveredP99Ms} ms`,
    `CPU ${total} us (${shares.join(", ")})`,
    ...(work.length > 0 ? [`per message: ${work.join(", ")}`] : []),
    `generator ${measured.generatorCpuRatio} cores`,
    `others ${measured.strangerCores} cores`,
    ...(measured.undelivered > 0 ? [`UNDELIVERED ${measured.undelivered}`] : []),
    ...(measured.duplicates > 0 ? [`DUPLICATES ${measured.duplicates}`] : []),
    ...(measured.refused > 0 ? [`refused ${measured.refused}`] : []),
  ].join(", ");
}
