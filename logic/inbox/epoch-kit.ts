// SPDX-License-Identifier: Apache-2.0
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import type { EpochWatch } from "./epoch-watch.ts";

/** What parts of logic know of the inbox epoch, for tests of one of them: it changes when the test says so. */
export class TestEpochs implements Pick<EpochWatch, "current" | "mark" | "markOf" | "saw" | "doubt"> {
  current = "e1";
  doubts = 0;
  /** Epochs that answers named, each once in a row. */
  readonly seen: string[] = [];

  get mark(): number {
    return epochMark(this.current);
  }

  markOf(epoch: string): number {
    return epochMark(epoch);
  }

  saw(epoch: string): void {
    if (this.seen.at(-1) !== epoch) this.seen.push(epoch);
  }

  doubt(): void {
    this.doubts++;
  }
}
