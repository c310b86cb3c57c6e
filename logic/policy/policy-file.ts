// SPDX-License-Identifier: Apache-2.0
import { readFile } from "node:fs/promises";
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import { repeat } from "#lib/repeat.ts";
import { PolicyEngine } from "./engine.ts";
import { NO_RULES, readRules } from "./rules.ts";

const POLL_MS = 5000;

/** Options of {@link PolicyFile}. */
export interface PolicyFileOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Pick<Logger, "info" | "error">;
  /** How often the content is compared. Default 5,000. */
  readonly pollMs?: number;
}

/**
 * Rules from a file that is read again when its content changes, as mounted ConfigMaps do. One that cannot be read, or is wrong,
 * changes nothing: the last good rules hold, before the first ones there are none, as chat must go on.
 */
export class PolicyFile {
  readonly #options: PolicyFileOptions;
  #text: string | undefined;
  /** Of the rules in this text. */
  #textProblem: string | undefined;
  #engine = new PolicyEngine(NO_RULES);
  #problem: string | undefined;
  #stop: (() => void) | undefined;

  private constructor(options: PolicyFileOptions) {
    this.#options = options;
  }

  /** Looks once before it resolves. Does not reject. */
  static async open(options: PolicyFileOptions): Promise<PolicyFile> {
    const file = new PolicyFile(options);
    await file.poll();
    const { clock, pollMs = POLL_MS } = options;
    file.#stop = repeat(clock, pollMs, () => file.poll());
    return file;
  }

  /** Ready to judge; counts go on from rules to rules. */
  get engine(): PolicyEngine {
    return this.#engine;
  }

  /** What is wrong with the file as it is now; undefined: its rules hold. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Rules that hold. */
  get rules(): number {
    return this.#engine.document.rules.length;
  }

  close(): void {
    this.#stop?.();
  }

  /** Compares the file once, now. */
  async poll(): Promise<void> {
    const { path, log } = this.#options;
    const before = this.#problem;
    try {
      const text = await readFile(path, "utf8");
      if (text !== this.#text) this.#take(text);
      this.#problem = this.#textProblem;
    } catch (error) {
      this.#problem = messageOf(error);
    }
    const problem = this.#problem;
    if (problem !== undefined && problem !== before)
      log.error(
        { path, rules: this.rules, problem },
        "policy rules are not as they should be: the last good ones hold",
      );
  }

  #take(text: string): void {
    this.#text = text;
    try {
      this.#engine = new PolicyEngine(readRules(text), this.#engine);
      this.#textProblem = undefined;
      this.#options.log.info({ path: this.#options.path, rules: this.rules }, "policy rules were read");
    } catch (error) {
      this.#textProblem = messageOf(error);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
