// SPDX-License-Identifier: Apache-2.0
import { createHmac } from "node:crypto";
import { Backoff } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import type { PushNotification, PushProvider, PushResult } from "./provider.ts";

const ATTEMPTS = 3;
const TIMEOUT_MS = 5000;
const MAX_DELAY_MS = 4000;
const RETRYABLE_STATUS: ReadonlySet<number> = new Set([408, 425, 429]);

/** Options of {@link WebhookProvider}. */
export interface WebhookOptions {
  url: string;
  /** Key of the signature; "" = unsigned. */
  secret: string;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  /** Per attempt. Default 5,000. */
  timeoutMs?: number;
}

/**
 * The value of X-Im-Signature: `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`. A receiver recomputes it
 * and refuses old timestamps.
 */
export function signature(secret: string, unixSeconds: number, body: string): string {
  const mac = createHmac("sha256", secret).update(`${unixSeconds}.${body}`).digest("hex");
  return `t=${unixSeconds},v1=${mac}`;
}

type Attempt = PushResult & { readonly retryAfterMs?: number };

/**
 * POSTs notifications to one URL. Three attempts of 5 s with backoff, Retry-After obeyed up to 4 s: at most 23 s in
 * all, below the 30 s after which another consumer takes the intent over. Redirects are not followed.
 */
export class WebhookProvider implements PushProvider {
  readonly name = "webhook";
  readonly #options: WebhookOptions;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  async push(notification: PushNotification, signal: AbortSignal): Promise<PushResult> {
    const body = JSON.stringify(notification);
    const backoff = new Backoff({ baseMs: 500, capMs: MAX_DELAY_MS, random: this.#options.random });
    for (let attempt = 1; ; attempt++) {
      const result = await this.#attempt(body, signal);
      if (result.kind !== "failed" || attempt === ATTEMPTS || signal.aborted) return result;
      await this.#sleep(Math.min(MAX_DELAY_MS, Math.max(result.retryAfterMs ?? 0, backoff.next())), signal);
    }
  }

  async #attempt(body: string, signal: AbortSignal): Promise<Attempt> {
    const { url, secret, clock, timeoutMs } = this.#options;
    const headers: Record<string, string> = { "content-type": "application/json", "user-agent": "imcluster" };
    if (secret !== "") headers["x-im-signature"] = signature(secret, Math.floor(clock.wallMs() / 1000), body);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers,
        body,
        redirect: "error",
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs ?? TIMEOUT_MS)]),
      });
      await response.body?.cancel();
      return this.#judge(response);
    } catch (error) {
      return { kind: "failed", reason: describe(error) };
    }
  }

  #judge(response: Response): Attempt {
    const { status } = response;
    if (status >= 200 && status < 300) return { kind: "accepted" };
    const reason = `the webhook answered ${status}`;
    if (status < 500 && !RETRYABLE_STATUS.has(status)) return { kind: "rejected", reason };
    return { kind: "failed", reason, retryAfterMs: this.#retryAfterMs(response.headers.get("retry-after")) };
  }

  /** Seconds or an HTTP date; 0 when absent or unreadable. */
  #retryAfterMs(value: string | null): number {
    if (value === null) return 0;
    if (/^\d{1,6}$/.test(value)) return Number(value) * 1000;
    const atMs = Date.parse(value);
    return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - this.#options.clock.wallMs());
  }

  #sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.#options.clock.after(delayMs, done);
      signal.addEventListener("abort", done);
    });
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
