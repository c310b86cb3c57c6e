// SPDX-License-Identifier: Apache-2.0
import { retryMs } from "./backoff.ts";
import { Timer } from "./clock.ts";
import type { ErrorInfo } from "./codec.ts";
import { ClientCode } from "./codes.ts";
import { abortable, ImClientError, refusalOf } from "./errors.ts";
import type { Settings } from "./options.ts";

interface Pending {
  readonly cmd: number;
  readonly body: Uint8Array;
  readonly resolve: (body: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: Timer;
  rid: number;
  failures: number;
}

const LIMIT = 64;

/** Questions that may be asked again: each is, over reconnects and overload, until it is answered, refused or aborted. */
export class Requests {
  readonly #write: (cmd: number, body: Uint8Array) => number | undefined;
  readonly #settings: Settings;
  readonly #pending = new Set<Pending>();

  /** @param write writes a frame and returns its request id; undefined when there is no connection */
  constructor(write: (cmd: number, body: Uint8Array) => number | undefined, settings: Settings) {
    this.#write = write;
    this.#settings = settings;
  }

  /** Resolves with the body of the answer. */
  ask(cmd: number, body: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    if (this.#pending.size >= LIMIT) {
      return Promise.reject(new ImClientError(ClientCode.OUTBOX_FULL, `${LIMIT} requests wait already`));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const timer = new Timer(this.#settings.clock);
    const pending: Pending = { cmd, body, resolve, reject, timer, rid: 0, failures: 0 };
    this.#pending.add(pending);
    const result = abortable(promise, signal, (error) => {
      this.#end(pending);
      reject(error);
    });
    if (this.#pending.has(pending)) this.#ask(pending);
    return result;
  }

  /** Logged in: everything is asked, again or for the first time. */
  connected(): void {
    for (const pending of this.#pending) this.#ask(pending);
  }

  /** Takes an answer; false when `rid` is none of these. */
  answered(rid: number, body: Uint8Array): boolean {
    const pending = this.#find(rid);
    if (pending === undefined) return false;
    this.#end(pending);
    // A copy: what came is a view of a network buffer.
    pending.resolve(new Uint8Array(body));
    return true;
  }

  /** Takes a refusal; false when `rid` is none of these. */
  refused(rid: number, info: ErrorInfo): boolean {
    const pending = this.#find(rid);
    if (pending === undefined) return false;
    if (info.retryable) {
      this.#later(pending, info.retryAfterMs);
    } else {
      this.#end(pending);
      pending.reject(refusalOf(info));
    }
    return true;
  }

  /** The server lost what it was asked. */
  retry(retryAfterMs: number): void {
    for (const pending of this.#pending) if (pending.rid !== 0) this.#later(pending, retryAfterMs);
  }

  rejectAll(error: ImClientError): void {
    for (const pending of [...this.#pending]) {
      this.#end(pending);
      pending.reject(error);
    }
  }

  #find(rid: number): Pending | undefined {
    for (const pending of rid === 0 ? [] : this.#pending) if (pending.rid === rid) return pending;
    return undefined;
  }

  #ask(pending: Pending): void {
    pending.timer.clear();
    pending.rid = this.#write(pending.cmd, pending.body) ?? 0;
    // Without a connection the next login asks.
    if (pending.rid !== 0) pending.timer.set(this.#settings.timing.syncTimeoutMs, () => this.#ask(pending));
  }

  #later(pending: Pending, retryAfterMs: number): void {
    pending.rid = 0;
    const pauseMs = retryAfterMs + retryMs(pending.failures++, this.#settings.random);
    pending.timer.set(pauseMs, () => this.#ask(pending));
  }

  #end(pending: Pending): void {
    pending.timer.clear();
    this.#pending.delete(pending);
  }
}
