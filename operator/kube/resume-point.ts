// SPDX-License-Identifier: Apache-2.0
import { compareVersions } from "./resource-version.ts";

/** An event that was overtaken on its way arrives within this. */
const OVERTAKEN_MS = 5_000;

/**
 * From which version a watch goes on. After an orderly end: from the newest that it brought. After a cut an event of before may
 * be missing, which the newest had overtaken on its way: then from what had been reached some time before the newest came. What
 * that repeats is no news to an ObjectCache.
 */
export class ResumePoint {
  #safe: string;
  #newest: string;
  /** Becomes the safe one when it has been known for long enough. */
  #candidate: { version: string; atMs: number } | undefined;

  /** @param version that of a list, or of the place to go on from: everything up to it is known */
  constructor(version: string) {
    this.#safe = version;
    this.#newest = version;
  }

  get newest(): string {
    return this.#newest;
  }

  get safe(): string {
    return this.#safe;
  }

  /** An event or a bookmark came. @param nowMs monotonic */
  advance(version: string, nowMs: number): void {
    if ((compareVersions(version, this.#newest) ?? 1) <= 0) return;
    const candidate = this.#candidate;
    if (candidate && nowMs - candidate.atMs >= OVERTAKEN_MS) this.#safe = candidate.version;
    if (!candidate || nowMs - candidate.atMs >= OVERTAKEN_MS) this.#candidate = { version, atMs: nowMs };
    this.#newest = version;
  }
}
