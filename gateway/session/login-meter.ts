// SPDX-License-Identifier: Apache-2.0

/** Durations kept between two looks; later ones take the place of the oldest. */
const MAX_KEPT = 1024;

/** Logins that logic answered: how many, how many of them it refused, and how long the latest took. */
export class LoginMeter {
  answered = 0;
  failed = 0;
  readonly #durations = new Float32Array(MAX_KEPT);
  #noted = 0;

  note(isOk: boolean, durationMs: number): void {
    this.answered++;
    if (!isOk) this.failed++;
    this.#durations[this.#noted++ % MAX_KEPT] = durationMs;
  }

  /** Ms; of the logins since the last call, at most the latest 1,024. 0 when there was none. */
  takeP99(): number {
    const count = Math.min(MAX_KEPT, this.#noted);
    this.#noted = 0;
    if (count === 0) return 0;
    const sorted = this.#durations.slice(0, count).sort();
    return Math.round(sorted[Math.ceil(count * 0.99) - 1] ?? 0);
  }
}
