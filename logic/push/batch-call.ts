// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";

interface Call<I, O> {
  input: I;
  resolve: (output: O) => void;
  reject: (error: unknown) => void;
}

/** Options of {@link BatchCall}. */
export interface BatchCallOptions<I, O> {
  defer: Defer;
  /** Outputs by index of the inputs. */
  run: (inputs: I[]) => Promise<readonly O[]>;
  maxBatch: number;
  maxWaiting: number;
}

/** Calls of one tick become one call, one at a time. */
export class BatchCall<I, O> {
  readonly #batch: TickBatch<Call<I, O>>;

  constructor({ defer, run, maxBatch, maxWaiting }: BatchCallOptions<I, O>) {
    this.#batch = new TickBatch({ defer, maxBatch, maxWaiting, run: (calls) => runCalls(run, calls) });
  }

  /** @throws {ImError} BUSY when too many wait; whatever `run` throws */
  call(input: I): Promise<O> {
    return new Promise((resolve, reject) => {
      if (!this.#batch.add({ input, resolve, reject })) reject(new ImError(ErrorCode.BUSY, "too many calls wait"));
    });
  }
}

async function runCalls<I, O>(
  run: (inputs: I[]) => Promise<readonly O[]>,
  calls: readonly Call<I, O>[],
): Promise<void> {
  try {
    const outputs = await run(calls.map(({ input }) => input));
    for (const [at, { resolve }] of calls.entries()) resolve(outputs[at] as O);
  } catch (error) {
    for (const { reject } of calls) reject(error);
  }
}
