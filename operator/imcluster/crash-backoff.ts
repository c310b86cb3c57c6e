// SPDX-License-Identifier: Apache-2.0
import type { ObservedEntry } from "./observed.ts";

const BASE_MS = 1_000;
const CAP_MS = 300_000;
/** A pod that lived longer than this did not fail at its start. */
const SHORT_LIFE_MS = 600_000;
/** After this without a failure the count starts again. */
const FORGET_MS = 600_000;

/** Of one cluster: entry pods that fail soon after their start are made again after 1 s, 2 s, 4 s, up to 5 minutes. */
export class CrashBackoff {
  readonly #seen = new Set<string>();
  #failures = 0;
  #lastMs = 0;

  /** Counts failures that were not counted yet. @param nowMs wall clock */
  observe(entries: readonly ObservedEntry[], nowMs: number): void {
    const failed = entries.filter((entry) => isEarlyFailure(entry, nowMs));
    for (const { uid } of failed) {
      if (this.#seen.has(uid)) continue;
      this.#seen.add(uid);
      if (nowMs - this.#lastMs > FORGET_MS) this.#failures = 0;
      this.#failures++;
      this.#lastMs = nowMs;
    }
    const present = new Set(entries.map(({ uid }) => uid));
    for (const uid of this.#seen) if (!present.has(uid)) this.#seen.delete(uid);
  }

  get failures(): number {
    return this.#failures;
  }

  /** Wall clock: no pod is made before this. The first failure costs nothing. */
  get notBeforeMs(): number {
    if (this.#failures < 2) return 0;
    return this.#lastMs + Math.min(CAP_MS, BASE_MS * 2 ** (this.#failures - 2));
  }
}

function isEarlyFailure({ pod, isTerminating, intent }: ObservedEntry, nowMs: number): boolean {
  if (pod.status?.phase !== "Failed" || isTerminating) return false;
  if (intent && intent.reason !== "Failed") return false;
  const lifeMs = nowMs - Date.parse(pod.metadata.creationTimestamp ?? "");
  return lifeMs < SHORT_LIFE_MS;
}
