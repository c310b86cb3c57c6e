// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "#lib/clock.ts";
import { toImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";

/** Options of {@link LeaveMark}. */
export interface LeaveMarkOptions {
  /** Where the kubelet shows the file `drain`: the annotation `imcluster.io/drain` of the pod, empty without one. Undefined: no pod. */
  dir: string | undefined;
  clock: Pick<Clock, "after">;
  log: Pick<Logger, "warn">;
}

const FILE = "drain";
/** The kubelet shows a change within about a second, or a minute when it is late. */
const LOOK_EVERY_MS = 2_000;

/**
 * What the operator has noted on the pod of this entry: that it is on its way out. A container that starts again knows it by
 * this, without anybody who tells it: else it would take clients that soon had to move again.
 */
export class LeaveMark {
  readonly #options: LeaveMarkOptions;
  #cancel = (): void => undefined;

  constructor(options: LeaveMarkOptions) {
    this.#options = options;
  }

  /** As it is now. A drain that is only planned takes no connections away, and what is no drain is none. */
  get isSet(): boolean {
    const phase = phaseOf(this.#read());
    return phase !== undefined && phase !== "Planned";
  }

  /** Calls back once, when it is not set any more. */
  whenGone(run: () => void): void {
    this.stop();
    this.#cancel = this.#options.clock.after(LOOK_EVERY_MS, () => (this.isSet ? this.whenGone(run) : run()));
  }

  stop(): void {
    this.#cancel();
  }

  #read(): string {
    const { dir, log } = this.#options;
    if (dir === undefined) return "";
    try {
      return readFileSync(join(dir, FILE), "utf8");
    } catch (thrown) {
      log.warn({ err: toImError(thrown), dir }, "cannot read what is noted on the pod: it counts as one that stays");
      return "";
    }
  }
}

function phaseOf(text: string): string | undefined {
  if (text === "") return undefined;
  try {
    const { phase } = (JSON.parse(text) ?? {}) as { phase?: unknown };
    return typeof phase === "string" ? phase : undefined;
  } catch {
    return undefined;
  }
}
