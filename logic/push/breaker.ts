// SPDX-License-Identifier: Apache-2.0

/** Options of {@link Breaker}. */
export interface BreakerOptions {
  /** Failures in a row that open it. */
  failures: number;
  /** Shortest and longest time that it stays open, ms; doubled each time the trial fails. */
  minOpenMs: number;
  maxOpenMs: number;
  /** Uniform in [0, 1). */
  random: () => number;
}

export type BreakerState = "closed" | "open" | "trial";

/** May a call be made? If not, when to ask again. */
export type BreakerAnswer = { readonly kind: "go" } | { readonly kind: "wait"; readonly untilMs: number };

const GO: BreakerAnswer = { kind: "go" };
/** While a trial runs, others ask again this much later. */
const TRIAL_WAIT_MS = 1000;
/** A trial that never came back (its process was stopped in the middle) does not keep it open for ever. */
const TRIAL_MAX_MS = 30_000;

/**
 * A circuit breaker without I/O or timers: closed until `failures` calls in a row fail, then open for a while (full
 * jitter, so that replicas do not come back together), then one trial decides. The provider's own Retry-After opens
 * it, too, for as long as was asked.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  #state: BreakerState = "closed";
  #failures = 0;
  #opened = 0;
  #untilMs = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Asked before each call; "go" must be followed by {@link succeed}, {@link fail} or {@link cancel}. */
  ask(nowMs: number): BreakerAnswer {
    if (this.#state === "closed") return GO;
    if (nowMs < this.#untilMs) {
      return { kind: "wait", untilMs: this.#state === "trial" ? nowMs + TRIAL_WAIT_MS : this.#untilMs };
    }
    this.#state = "trial";
    this.#untilMs = nowMs + TRIAL_MAX_MS;
    return GO;
  }

  /** The provider answered, whatever it said about the push. */
  succeed(): void {
    // A call from before it opened says nothing about now.
    if (this.#state === "open") return;
    this.#state = "closed";
    this.#failures = 0;
    this.#opened = 0;
  }

  fail(nowMs: number, retryAfterMs = 0): void {
    if (this.#state === "open") {
      this.#untilMs = Math.max(this.#untilMs, nowMs + retryAfterMs);
      return;
    }
    this.#failures++;
    const mustOpen = this.#state === "trial" || this.#failures >= this.#options.failures || retryAfterMs > 0;
    if (!mustOpen) return;
    const { minOpenMs, maxOpenMs, random } = this.#options;
    const ceilingMs = Math.min(maxOpenMs, minOpenMs * 2 ** Math.min(this.#opened, 20));
    this.#opened++;
    this.#state = "open";
    this.#failures = 0;
    this.#untilMs = nowMs + Math.max(retryAfterMs, minOpenMs + random() * (ceilingMs - minOpenMs));
  }

  /** The call was not made after all. */
  cancel(nowMs: number): void {
    if (this.#state !== "trial") return;
    this.#state = "open";
    this.#untilMs = nowMs;
  }
}
