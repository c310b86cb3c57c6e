// SPDX-License-Identifier: Apache-2.0
import { Timer } from "./clock.ts";
import { ClientCode } from "./codes.ts";
import { ImClientError, messageOf } from "./errors.ts";
import type { Settings } from "./options.ts";

/** Asks the application for tokens: one call at a time, each bounded by `timing.tokenTimeoutMs`. */
export class TokenSource {
  readonly #settings: Settings;
  readonly #timer: Timer;
  /** Outdates an answer that comes after `cancel`. */
  #generation = 0;
  /** Given in place of a new one while it is set. */
  held: string | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#timer = new Timer(settings.clock);
  }

  /**
   * Calls exactly one of the two, once, unless it is cancelled or asked again before. The error is TOKEN_UNAVAILABLE,
   * retryable unless `getToken` threw an {@link ImClientError} that is not.
   */
  async fetch(onToken: (token: string) => void, onError: (error: ImClientError) => void): Promise<void> {
    this.cancel();
    const generation = this.#generation;
    const { getToken, timing } = this.#settings;
    const { promise: timeout, reject } = Promise.withResolvers<never>();
    const text = `no token within ${timing.tokenTimeoutMs} ms`;
    this.#timer.set(timing.tokenTimeoutMs, () => reject(new Error(text)));
    let then: () => void;
    try {
      const token = await Promise.race([this.held ?? getToken(), timeout]);
      then = () => onToken(token);
    } catch (cause) {
      const retryable = !(cause instanceof ImClientError) || cause.retryable;
      const reason = `getToken failed: ${messageOf(cause)}`;
      then = () => onError(new ImClientError(ClientCode.TOKEN_UNAVAILABLE, reason, { cause, retryable }));
    }
    if (generation !== this.#generation) return;
    this.cancel();
    then();
  }

  /** An answer that is still on its way is not wanted any more. */
  cancel(): void {
    this.#generation++;
    this.#timer.clear();
  }
}
