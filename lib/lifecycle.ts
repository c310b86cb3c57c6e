// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "./logger.ts";

interface StopStep {
  name: string;
  fn: () => Promise<void> | void;
}

/** What a process must undo before it may end; steps run once, in reverse order of registration. */
export class Lifecycle {
  readonly #log: Logger;
  readonly #steps: StopStep[] = [];
  #stopping: Promise<void> | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  /** Registers an undo step, right after what it undoes was started. */
  onStop(name: string, fn: () => Promise<void> | void): void {
    this.#steps.push({ name, fn });
  }

  /** Runs the steps; a failing one is logged and the others still run. Further calls get the same promise. */
  stop(reason: string): Promise<void> {
    this.#stopping ??= this.#run(reason);
    return this.#stopping;
  }

  async #run(reason: string): Promise<void> {
    this.#log.info({ reason }, "stopping");
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step.fn();
      } catch (err) {
        this.#log.error({ err, step: step.name }, "stop step failed");
      }
    }
    this.#log.info({}, "stopped");
  }

  /**
   * SIGTERM and SIGINT stop and exit 0; a second signal, or more than `deadlineMs`, exits 1. A fault that nobody catches exits 1 at
   * once, with a line in the log: Node's own report would show all fields of the error, whatever is in them.
   */
  installSignals(deadlineMs: number): void {
    process.on("uncaughtException", (err, origin) => {
      this.#log.error({ err, origin }, "uncaught fault: leaving at once");
      process.exit(1);
    });
    const onSignal = (signal: NodeJS.Signals) => {
      if (this.isStopping) {
        this.#log.warn({ signal }, "second signal: leaving without finishing");
        process.exit(1);
      }
      setTimeout(() => {
        this.#log.error({ deadlineMs }, "stop took too long: leaving without finishing");
        process.exit(1);
      }, deadlineMs).unref();
      void this.stop(signal).then(() => process.exit(0));
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  }
}
