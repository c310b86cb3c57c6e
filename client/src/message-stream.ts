// SPDX-License-Identifier: Apache-2.0
import type { Message } from "./events.ts";

/** What a {@link MessageStream} tells its client. */
export interface MessageStreamOwner {
  /** The loop asked for the next message, so the one before is consumed. */
  onConsumed(stream: MessageStream): void;
  onEnd(stream: MessageStream): void;
}

interface Waiter {
  resolve(result: IteratorResult<Message, undefined>): void;
  reject(error: unknown): void;
}

/**
 * Messages for one `for await` loop. A message counts as consumed when the loop asks for the one after it, so a
 * crash inside the loop's body makes it come again.
 */
export class MessageStream implements AsyncIterableIterator<Message, undefined> {
  readonly #owner: MessageStreamOwner;
  readonly #waiting: Message[] = [];
  readonly #waiters: Waiter[] = [];
  #current: Message | undefined;
  #end: { readonly error: unknown } | undefined;

  constructor(owner: MessageStreamOwner) {
    this.#owner = owner;
  }

  /** It is given no further message. */
  get isEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Messages not yet asked for. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Inbox seq of the oldest message the loop is not done with; undefined when it is done with all. */
  get oldestSeq(): number | undefined {
    return (this.#current ?? this.#waiting[0])?.inboxSeq;
  }

  push(message: Message): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#waiting.push(message);
    else this.#hand(waiter, message);
  }

  /** No message comes any more: the loop ends after those that wait, by throwing when there is an error. */
  finish(error?: unknown): void {
    this.#end ??= { error };
    for (const waiter of this.#waiters.splice(0)) this.#settle(waiter);
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    const hadCurrent = this.#current !== undefined;
    this.#current = undefined;
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Message, undefined>>();
    const message = this.#waiting.shift();
    if (message !== undefined) this.#hand({ resolve, reject }, message);
    else if (this.#end !== undefined) this.#settle({ resolve, reject });
    else this.#waiters.push({ resolve, reject });
    if (hadCurrent) this.#owner.onConsumed(this);
    return promise;
  }

  /** Called by `break`: the message in hand counts as consumed, those that wait are this loop's no more. */
  return(): Promise<IteratorResult<Message, undefined>> {
    this.#current = undefined;
    this.#waiting.length = 0;
    this.finish();
    this.#owner.onEnd(this);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #hand(waiter: Waiter, message: Message): void {
    this.#current = message;
    waiter.resolve({ done: false, value: message });
  }

  #settle(waiter: Waiter): void {
    if (this.#end?.error === undefined) waiter.resolve({ done: true, value: undefined });
    else waiter.reject(this.#end.error);
  }
}
