// SPDX-License-Identifier: Apache-2.0
import type { Kernel, Proc } from "./kernel.ts";
import type { Network } from "./network.ts";

/** Where a process is killed: at its n-th call from now, before the call had any effect or after, with no answer yet. */
export interface CrashPlan {
  proc: Proc;
  /** Calls until it happens; 1 = the next. */
  inCalls: number;
  when: "before" | "after";
  kill: () => void;
}

/** What becomes of one call. */
export type Fate = "answered" | "request lost" | "answer lost";

/** Faults of the way between a process and one of its servers. */
export interface Server {
  /** The peer's name in the network. */
  readonly proc: Proc;
  /** The server answers nobody until then. */
  awayUntilMs: number;
  /** Of the calls that reach it: how many lose their answer. */
  lossRate: number;
}

/** Every await of a process on something outside goes through here. */
export class Calls {
  readonly kernel: Kernel;
  readonly network: Network;
  readonly #plans: CrashPlan[] = [];
  /** Calls so far, by process name: how crash points are counted. */
  readonly counts = new Map<string, number>();
  /** With it set, the names of all calls, in order. */
  log: string[] | undefined;

  constructor(kernel: Kernel, network: Network) {
    this.kernel = kernel;
    this.network = network;
  }

  plan(crash: CrashPlan): void {
    this.#plans.push(crash);
  }

  clearPlans(): void {
    this.#plans.length = 0;
  }

  /**
   * One call: `effect` runs at the server, once or not at all. Resolves, in the process, with what it returned; rejects
   * with `lost()` when the request or its answer was lost, or the server is away.
   */
  call<T>(proc: Proc, server: Server, name: () => string, effect: () => T | Promise<T>, lost: () => Error): Promise<T> {
    const { kernel } = this;
    this.counts.set(proc.name, (this.counts.get(proc.name) ?? 0) + 1);
    this.log?.push(`${proc.name} ${name()}`);
    const crash = this.#due(proc);
    return new Promise((resolve, reject) => {
      if (crash?.when === "before") {
        crash.kill();
        return;
      }
      const fail = (delayMs: number): void => void kernel.after(delayMs, proc, () => reject(lost()));
      if (this.#isUnreachable(proc, server)) {
        fail(this.#refusalMs());
        return;
      }
      kernel.after(this.network.latencyMs(), undefined, () => {
        const fate = this.#fate(proc, server);
        if (fate === "request lost") {
          fail(this.#refusalMs());
          return;
        }
        const answer = (settle: () => void): void => {
          if (crash) crash.kill();
          if (fate === "answer lost") fail(this.#refusalMs());
          else kernel.after(this.network.latencyMs(), proc, settle);
        };
        const failed = (error: unknown): void => answer(() => reject(error));
        try {
          const value = effect();
          if (value instanceof Promise) value.then((done) => answer(() => resolve(done)), failed);
          else answer(() => resolve(value));
        } catch (error) {
          failed(error);
        }
      });
    });
  }

  #due(proc: Proc): CrashPlan | undefined {
    for (const plan of this.#plans) {
      if (plan.proc !== proc || --plan.inCalls > 0) continue;
      this.#plans.splice(this.#plans.indexOf(plan), 1);
      return plan;
    }
    return undefined;
  }

  #isUnreachable(proc: Proc, server: Server): boolean {
    return server.awayUntilMs > this.kernel.nowMs || this.network.isCut(proc, server.proc);
  }

  #fate(proc: Proc, server: Server): Fate {
    if (this.#isUnreachable(proc, server)) return this.kernel.random.chance(0.5) ? "request lost" : "answer lost";
    if (server.lossRate > 0 && this.kernel.random.chance(server.lossRate))
      return this.kernel.random.chance(0.3) ? "request lost" : "answer lost";
    return "answered";
  }

  /** A refused connection is known at once, a silent one at the deadline. */
  #refusalMs(): number {
    return this.kernel.random.chance(0.5) ? 2 : 500;
  }
}
