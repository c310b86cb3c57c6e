// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { ChangeLog, ChangePage, LogPosition } from "./change-log.ts";

/** Reference model of {@link ChangeLog}: a list that forgets its beginning. For unit tests and simulations. */
export class MemoryChangeLog implements ChangeLog {
  readonly #keptAppends: number;
  #appends: (readonly string[])[] = [];
  /** Appends forgotten so far. */
  #dropped = 0;
  #memory = 1;
  /** Set to make every call fail like an unreachable Redis. */
  isDown = false;

  constructor(keptAppends = 2000) {
    this.#keptAppends = keptAppends;
  }

  async append(userIds: readonly string[]): Promise<void> {
    this.#requireUp();
    if (userIds.length === 0) return;
    this.#appends.push([...userIds]);
    while (this.#appends.length > this.#keptAppends) {
      this.#appends.shift();
      this.#dropped++;
    }
  }

  async read(position: LogPosition): Promise<ChangePage> {
    this.#requireUp();
    const end = this.#dropped + this.#appends.length;
    const [memory = 0, at = end] = position === "" ? [this.#memory] : position.split("-").map(Number);
    const isGap = memory !== this.#memory || at < this.#dropped;
    const userIds = isGap ? [] : this.#appends.slice(at - this.#dropped).flat();
    return { userIds, position: `${this.#memory}-${end}`, isGap, hasMore: false };
  }

  /** FLUSHALL. */
  flush(): void {
    this.#appends = [];
    this.#dropped = 0;
    this.#memory++;
  }

  #requireUp(): void {
    if (this.isDown) throw new ImError(ErrorCode.RETRYABLE, "the change log is down (test)");
  }
}
