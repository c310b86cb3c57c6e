// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { PushFailure } from "../provider.ts";

/** A bearer token and how long it holds, ms. */
export interface IssuedToken {
  readonly kind: "issued";
  readonly value: string;
  readonly lifetimeMs: number;
}

/** Asks the provider for a token; `isStale`: the one before it was refused although its time was not over. */
export type IssueToken = (signal: AbortSignal, isStale: boolean) => Promise<IssuedToken | PushFailure>;

/** Tokens are replaced so long before they end. */
const RENEW_BEFORE_MS = 60_000;
/** A token that would be renewed at once is used for this long anyway, so that a clock or a provider cannot make us hammer it. */
const MIN_LIFETIME_MS = 10_000;

/** One cached access token: fetched when needed, once for all callers, and again when it ends or is refused. */
export class AccessToken {
  readonly #clock: Clock;
  readonly #issue: IssueToken;
  #current: { value: string; untilMs: number } | undefined;
  #pending: Promise<IssuedToken | PushFailure> | undefined;
  #isStale = false;

  constructor(clock: Clock, issue: IssueToken) {
    this.#clock = clock;
    this.#issue = issue;
  }

  /** The token in force, or why there is none. `signal` ends the caller's wait, not the fetch that others wait for. */
  async get(signal: AbortSignal): Promise<IssuedToken | PushFailure> {
    const current = this.#current;
    if (current && this.#clock.nowMs() < current.untilMs) {
      return { kind: "issued", value: current.value, lifetimeMs: current.untilMs - this.#clock.nowMs() };
    }
    this.#pending ??= this.#fetch().finally(() => {
      this.#pending = undefined;
    });
    return await orStopped(this.#pending, signal);
  }

  /** The provider refused `value`: the next caller fetches another one. */
  refuse(value: string): void {
    if (this.#current?.value !== value) return;
    this.#current = undefined;
    this.#isStale = true;
  }

  async #fetch(): Promise<IssuedToken | PushFailure> {
    // The issuer bounds the call by its own deadline.
    const issued = await this.#issue(new AbortController().signal, this.#isStale);
    if (issued.kind === "issued") {
      const holdsMs = Math.max(MIN_LIFETIME_MS, issued.lifetimeMs - RENEW_BEFORE_MS);
      this.#current = { value: issued.value, untilMs: this.#clock.nowMs() + holdsMs };
      this.#isStale = false;
    }
    return issued;
  }
}

function orStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T | PushFailure> {
  const stopped: PushFailure = { kind: "failed", reason: "stopped" };
  if (signal.aborted) return Promise.resolve(stopped);
  return new Promise((resolve) => {
    const onAbort = (): void => resolve(stopped);
    signal.addEventListener("abort", onAbort, { once: true });
    void work.then((value) => {
      signal.removeEventListener("abort", onAbort);
      resolve(value);
    });
  });
}
