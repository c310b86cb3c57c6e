// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";

/** For so long the entries announce their sessions to a router that lost its memory. */
export const HOLD_MS = 5000;

/** What {@link RouterMemory} needs. */
export interface RouterMemoryPorts {
  clock: Clock;
  /** Is the router's memory still the one that was last seen? Rejects with RETRYABLE while the router is away. */
  isSame(): Promise<boolean>;
}

/** Whether who is missing in the router is away: not while it is being told again who is online. */
export class RouterMemory {
  readonly #ports: RouterMemoryPorts;
  #heldUntilMs = Number.NEGATIVE_INFINITY;

  constructor(ports: RouterMemoryPorts) {
    this.#ports = ports;
  }

  /** Routes may have been lost just now. */
  forgotten(): void {
    this.#heldUntilMs = this.#ports.clock.nowMs() + HOLD_MS;
  }

  /** How long nobody may be called offline yet; 0 when they may. */
  get heldMs(): number {
    return Math.max(0, this.#heldUntilMs - this.#ports.clock.nowMs());
  }

  /**
   * To be called after a look that missed somebody.
   * @throws {ImError} RETRYABLE when that may be the router's loss, or it is away
   */
  async requireWhole(): Promise<void> {
    // A loss that nobody has noticed yet counts, too.
    if (this.heldMs === 0 && (await this.#ports.isSame())) return;
    throw new ImError(ErrorCode.RETRYABLE, "the router is being told again who is online");
  }
}
