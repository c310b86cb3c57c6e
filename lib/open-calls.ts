// SPDX-License-Identifier: Apache-2.0

/** Calls that a server is answering: what an orderly close waits for. */
export class OpenCalls {
  #count = 0;
  isClosing = false;
  #onIdle: (() => void) | undefined;

  /** Counts a call; its end is the returned function, to be called once. */
  enter(): () => void {
    this.#count++;
    return () => {
      this.#count--;
      if (this.#count === 0) this.#onIdle?.();
    };
  }

  /** No new calls from here on; resolves when none is left, or after `graceMs`. */
  close(graceMs: number): Promise<void> {
    this.isClosing = true;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#count === 0) this.#onIdle();
    });
  }
}
