// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Tracer } from "#lib/tracing/tracer.ts";
import { Gate } from "../gate.ts";
import { Breaker, type BreakerState } from "./breaker.ts";
import type { PushMetrics } from "./metrics.ts";
import type { PushProvider, PushRequest, PushResult } from "./provider.ts";

const GATE = { maxRunning: 16, maxWaiting: 2000, maxWaitMs: 5000 };
const BREAKER = { failures: 8, minOpenMs: 1000, maxOpenMs: 60_000 };
/** Above every provider's own deadline: a provider that breaks its promise does not hold a place for ever. */
const ATTEMPT_MS = 12_000;
/** A push that found no place is tried again after this. */
const FULL_PAUSE_MS = 1000;

/** What became of one push to one address; `untried` when the provider was not called at all. */
export type AttemptResult =
  | PushResult
  | {
      readonly kind: "untried";
      readonly reason: "cancelled" | "open" | "full" | "stopped";
      readonly retryAfterMs: number;
    };

/** Options of {@link ProviderChannel}. */
export interface ProviderChannelOptions {
  provider: PushProvider;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  metrics: PushMetrics;
  /** Calls at the same time, calls that may wait for a place, and how long. Default 16, 2,000, 5 s. */
  gate?: Partial<typeof GATE>;
  breaker?: Partial<typeof BREAKER>;
  /** Default: nothing is traced. */
  tracer?: Tracer | undefined;
  /** Is told what the provider answered; the attempt ends after it. */
  onResult?: (provider: string, request: PushRequest, result: PushResult) => Promise<void>;
}

/**
 * One provider behind a bulkhead and a breaker of its own, so that a stalled or failing provider takes neither time
 * nor memory from another one.
 */
export class ProviderChannel {
  readonly name: string;
  readonly #options: ProviderChannelOptions;
  readonly #gate: Gate;
  readonly #breaker: Breaker;

  constructor(options: ProviderChannelOptions) {
    const { provider, clock, random } = options;
    this.name = provider.name;
    this.#options = options;
    this.#gate = new Gate({ clock, ...GATE, ...options.gate });
    this.#breaker = new Breaker({ random, ...BREAKER, ...options.breaker });
  }

  get breakerState(): BreakerState {
    return this.#breaker.state;
  }

  /**
   * Pushes when there is a place. `isWanted` is asked right before the call, after any wait: the user may have read
   * the message meanwhile. Never rejects.
   */
  attempt(request: PushRequest, isWanted: () => Promise<boolean>, signal: AbortSignal): Promise<AttemptResult> {
    return new Promise((resolve) => {
      const shed = (): void => {
        this.#options.metrics.pushes.inc({ provider: this.name, result: "full" });
        resolve({ kind: "untried", reason: "full", retryAfterMs: FULL_PAUSE_MS });
      };
      this.#gate.enter(async () => {
        resolve(await this.#run(request, isWanted, signal));
        this.#report();
      }, shed);
      this.#report();
    });
  }

  close(): void {
    this.#options.provider.close();
  }

  async #run(request: PushRequest, isWanted: () => Promise<boolean>, signal: AbortSignal): Promise<AttemptResult> {
    const { clock } = this.#options;
    if (signal.aborted) return { kind: "untried", reason: "stopped", retryAfterMs: 0 };
    if (!(await isWanted())) return this.#untried("cancelled", 0);
    const answer = this.#breaker.ask(clock.nowMs());
    if (answer.kind === "wait") return this.#untried("open", answer.untilMs - clock.nowMs());
    const result = await this.#call(request, signal);
    this.#learn(result, signal);
    await this.#options.onResult?.(this.name, request, result);
    return result;
  }

  async #call(request: PushRequest, signal: AbortSignal): Promise<PushResult> {
    const { provider, clock, metrics, tracer } = this.#options;
    const late = new AbortController();
    const cancel = clock.after(ATTEMPT_MS, () => late.abort());
    const startedMs = clock.nowMs();
    const span = request.trace && tracer?.start("notify", request.trace);
    const asked = span ? { ...request, trace: span.context } : request;
    const result = await provider.push(asked, AbortSignal.any([signal, late.signal])).finally(cancel);
    span?.note({ "im.provider": this.name, "im.result": result.kind });
    span?.end(result.kind === "accepted" ? undefined : result.kind);
    metrics.seconds.observe({ provider: this.name }, (clock.nowMs() - startedMs) / 1000);
    metrics.pushes.inc({ provider: this.name, result: result.kind });
    if (result.kind === "accepted") metrics.byTenant.add(request.notification.userId);
    return result;
  }

  #learn(result: PushResult, signal: AbortSignal): void {
    const nowMs = this.#options.clock.nowMs();
    // Our own stop says nothing about the provider.
    if (result.kind === "failed" && signal.aborted) this.#breaker.cancel(nowMs);
    else if (result.kind !== "failed" || result.scope === "address") this.#breaker.succeed();
    else this.#breaker.fail(nowMs, result.retryAfterMs);
  }

  #report(): void {
    const { breakerOpen, running, waiting } = this.#options.metrics;
    const labels = { provider: this.name };
    breakerOpen.set(labels, this.#breaker.state === "closed" ? 0 : 1);
    running.set(labels, this.#gate.running);
    waiting.set(labels, this.#gate.waiting);
  }

  #untried(reason: "cancelled" | "open", retryAfterMs: number): AttemptResult {
    this.#options.metrics.pushes.inc({ provider: this.name, result: reason });
    return { kind: "untried", reason, retryAfterMs };
  }
}
