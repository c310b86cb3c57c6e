// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { TickBatch, type TickBatchOptions } from "./tick-batch.ts";

/** Options of {@link Gathered}. */
export interface GatheredOptions<T, R>
  extends Pick<TickBatchOptions<T>, "defer" | "maxBatch" | "maxWaiting" | "spacing"> {
  /** Answers by index; the next batch starts after it. */
  run: (batch: T[]) => Promise<readonly R[]>;
}

interface Call<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Many callers, one call: what is asked for in one tick, or while a batch is under way, is asked for together. What fails a batch
 * fails every call of it.
 */
export class Gathered<T, R> {
  readonly #batch: TickBatch<Call<T, R>>;

  /** One call beyond `maxWaiting` is refused with BUSY. */
  constructor({ run, ...options }: GatheredOptions<T, R>) {
    const { maxWaiting } = options;
    this.#batch = new TickBatch({
      ...options,
      run: async (calls) => {
        const results = await run(calls.map(({ item }) => item));
        if (results.length !== calls.length)
          throw new ImError(ErrorCode.INTERNAL, `${results.length} answers to ${calls.length} questions`);
        calls.forEach(({ resolve }, at) => void resolve(results[at] as R));
      },
      onFailed: (error, calls) => {
        for (const { reject } of calls) reject(error);
      },
      onRefused: ({ reject }) => reject(new ImError(ErrorCode.BUSY, `${maxWaiting} calls wait for their batch`)),
    });
  }

  /** @throws {ImError} BUSY when too many wait; whatever failed its batch */
  call(item: T): Promise<R> {
    return new Promise((resolve, reject) => void this.#batch.add({ item, resolve, reject }));
  }
}
