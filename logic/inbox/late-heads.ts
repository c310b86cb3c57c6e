// SPDX-License-Identifier: Apache-2.0
import { BoundedQueue } from "#lib/bounded-queue.ts";
import type { Clock } from "#lib/clock.ts";
import type { Session } from "../session/session.ts";

/** Sessions that wait; one more is not told, and hears its head with its next PING. */
const MAX_WAITING = 100_000;

/** What {@link LateHeads} needs. */
export interface LateHeadsPorts {
  clock: Clock;
  /** How long after its login a session is told. */
  delayMs: number;
  /** Sends the session its head. */
  ask: (session: Session) => void;
}

/**
 * Tells every new session its inbox head once more, when no process can hold an older answer of the router any longer:
 * a message that was sent meanwhile by a process that did not know the session is pulled then, not with the next PING.
 * One timer for all of them.
 */
export class LateHeads {
  readonly #ports: LateHeadsPorts;
  readonly #waiting = new BoundedQueue<{ session: Session; isOpen: () => boolean; dueMs: number }>({
    maxItems: MAX_WAITING,
  });
  #cancel: (() => void) | undefined;

  constructor(ports: LateHeadsPorts) {
    this.#ports = ports;
  }

  /** The session logged in now. `isOpen` is asked when it is due. */
  add(session: Session, isOpen: () => boolean): void {
    const { clock, delayMs } = this.#ports;
    this.#waiting.push({ session, isOpen, dueMs: clock.nowMs() + delayMs });
    this.#cancel ??= clock.after(delayMs, () => this.#tell());
  }

  /** Forgets all and releases the timer. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    while (this.#waiting.shift());
  }

  #tell(): void {
    const { clock, ask } = this.#ports;
    const nowMs = clock.nowMs();
    let next = this.#waiting.peek();
    for (; next && next.dueMs <= nowMs; next = this.#waiting.peek()) {
      this.#waiting.shift();
      if (next.isOpen()) ask(next.session);
    }
    const waitMs = next && next.dueMs - nowMs;
    this.#cancel = waitMs === undefined ? undefined : clock.after(waitMs, () => this.#tell());
  }
}
