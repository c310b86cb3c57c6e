// SPDX-License-Identifier: Apache-2.0
import { LatestDurations } from "./latest-durations.ts";

/** Durations kept between two looks; later ones take the place of the oldest. */
const MAX_KEPT = 1024;

/** Logins that logic answered: how many, how many of them it refused, and how long the latest took. */
export class LoginMeter {
  answered = 0;
  failed = 0;
  readonly #durations = new LatestDurations(MAX_KEPT);

  note(isOk: boolean, durationMs: number): void {
    this.answered++;
    if (!isOk) this.failed++;
    this.#durations.note(durationMs);
  }

  /** Ms; of the logins since the last call, at most the latest 1,024. 0 when there was none. */
  takeP99(): number {
    const { p99 } = this.#durations;
    this.#durations.clear();
    return p99;
  }
}
