// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

/**
 * Calls to pods that may take longer than a pass has time: clients that are being asked to move wait for the next lease
 * meanwhile. The pass that begins one waits for it only so long; the call goes on, and a later pass gets what became of it.
 */
export class SlowCalls {
  readonly #limit: number;
  readonly #calls = new Map<string, Call>();

  /** @param limit calls under way at a time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Begins the call and waits for it; of one of the same key that was late it only asks whether it has ended.
   *
   * @param untilMs on `clock`, monotonic
   * @returns what it came to; `undefined` when it takes longer, or too many are under way
   * @throws what the call throws, also when that happened since the last pass
   */
  async within<T>(key: string, clock: Clock, untilMs: number, begin: () => Promise<T>): Promise<T | undefined> {
    const known = this.#calls.get(key) as Call<T> | undefined;
    if (!known && this.#underWay >= this.#limit) return undefined;
    const call = known ?? this.#begin(key, begin);
    let cancel = (): void => undefined;
    const late = new Promise<typeof LATE>((resolve) => {
      cancel = clock.after(known ? 0 : Math.max(0, untilMs - clock.nowMs()), () => resolve(LATE));
    });
    try {
      const outcome = await Promise.race([call.ended, late]);
      return outcome === LATE ? undefined : outcome;
    } finally {
      cancel();
      if (call.isOver) this.#calls.delete(key);
    }
  }

  /** Nobody is going to ask about these any more. */
  forget(isGone: (key: string) => boolean): void {
    for (const key of this.#calls.keys()) if (isGone(key)) this.#calls.delete(key);
  }

  get #underWay(): number {
    return [...this.#calls.values()].filter(({ isOver }) => !isOver).length;
  }

  #begin<T>(key: string, begin: () => Promise<T>): Call<T> {
    const call: Call<T> = { isOver: false, ended: begin().finally(() => (call.isOver = true)) };
    this.#calls.set(key, call);
    return call;
  }
}

interface Call<T = unknown> {
  ended: Promise<T>;
  isOver: boolean;
}

const LATE = Symbol("late");
