// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicLink } from "./link.ts";

const DEFAULT_INTERVAL_MS = 5000;

/**
 * Renews the lease of this incarnation on one stream, and on another one when the answer did not come within an
 * interval. A lease that runs out (all logic away) closes nothing: it holds again with the next renewal.
 */
export class LeaseKeeper {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #links: () => LogicLink[];
  #intervalMs = DEFAULT_INTERVAL_MS;
  #cancel: (() => void) | undefined;
  #link: LogicLink | undefined;
  #rid = 0;
  #isAnswered = true;

  constructor(clock: Clock, log: Logger, links: () => LogicLink[]) {
    this.#clock = clock;
    this.#log = log;
    this.#links = links;
  }

  /** Renews now and then every `intervalMs`; while it runs already, only takes the interval. */
  start(intervalMs: number): void {
    if (intervalMs > 0) this.#intervalMs = intervalMs;
    if (!this.#cancel) this.#renew();
    else if (!this.#link?.isAttached) this.#restart();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  onLeased(rid: number): void {
    if (rid === this.#rid) this.#isAnswered = true;
  }

  #restart(): void {
    this.stop();
    this.#renew();
  }

  #renew(): void {
    this.#cancel = this.#clock.after(this.#intervalMs, () => this.#renew());
    if (!this.#isAnswered) this.#log.warn({ logic: this.#link?.name }, "the lease was not renewed in time");
    const link = this.#chooseLink();
    if (!link) return;
    this.#link = link;
    this.#rid = (this.#rid % 0xffff_ffff) + 1;
    this.#isAnswered = false;
    link.sendControl({ kind: RecordKind.LEASE, rid: this.#rid, aux: Math.floor(this.#clock.nowMs()) });
  }

  #chooseLink(): LogicLink | undefined {
    const usable = this.#links().filter((link) => link.isUsable);
    const isGood = this.#isAnswered && this.#link?.isUsable;
    if (isGood) return this.#link;
    return usable.find((link) => link !== this.#link) ?? usable[0] ?? this.#links().find((link) => link.isAttached);
  }
}
