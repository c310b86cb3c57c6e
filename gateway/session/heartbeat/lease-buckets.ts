// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { type Echo, type HeartbeatItem, Heartbeats } from "./heartbeats.ts";
import type { LeaseSigner } from "./lease.ts";

/** More than the longest deadline has ticks; what is due later waits in the last bucket and is moved on. */
const BUCKETS = 1024;

/** Who an item is in its lease. */
export interface LeaseHolder extends HeartbeatItem {
  /** Unique for the life of this process, below 2^32. */
  readonly conn: number;
}

/** Options of {@link LeaseBuckets}. */
export interface LeaseBucketsOptions {
  signer: LeaseSigner;
  /** Mark of this process in leases. */
  entry: number;
}

/**
 * One bucket of connections per tick; a whole bucket expires at once. The client is told its deadline as a signed lease and
 * echoes it in the next heartbeat, which so names the bucket to take the connection out of, without a look at what the
 * server noted. What is echoed is only where to look: an echo that is forged, foreign, old or of another time leads to the
 * bucket noted here, and the new deadline never comes from the client. `place` is the tick of the bucket.
 */
export class LeaseBuckets extends Heartbeats {
  readonly #buckets: Set<HeartbeatItem>[] = Array.from({ length: BUCKETS }, () => new Set());
  readonly #options: LeaseBucketsOptions;
  /** Echoes that counted for nothing. */
  refusedEchoes = 0;

  constructor(clock: Clock, options: LeaseBucketsOptions) {
    super(clock);
    this.#options = options;
  }

  schedule(item: HeartbeatItem): void {
    const due = item.dueTick();
    if (item.place !== 0) {
      if (item.place <= due) return;
      this.#bucketAt(item.place).delete(item);
      item.place = 0;
    }
    if (due !== Number.POSITIVE_INFINITY) this.#put(item, due);
  }

  touch(item: HeartbeatItem, echo: Echo): void {
    const due = item.dueTick();
    if (item.place === 0 || due === Number.POSITIVE_INFINITY) return;
    const named = this.#namedBy(echo, item);
    if (named === 0 || !this.#bucketAt(named).delete(item)) this.#bucketAt(item.place).delete(item);
    this.#put(item, due);
  }

  override leaseOf(item: HeartbeatItem): Uint8Array | undefined {
    if (item.place === 0 || !isHolder(item)) return undefined;
    const { signer, entry } = this.#options;
    return signer.sign({ deadline: item.place, entry, generation: item.conn });
  }

  protected expire(nowTick: number): void {
    const index = nowTick % BUCKETS;
    const items = this.#buckets[index];
    if (items === undefined || items.size === 0) return;
    this.#buckets[index] = new Set();
    for (const item of items) {
      // Moved while others of this bucket were fired.
      if (item.place !== nowTick) continue;
      item.place = 0;
      if (item.dueTick() <= nowTick) item.onDue(nowTick);
      this.schedule(item);
    }
  }

  /** Tick of the bucket that the echo names; 0 = none. */
  #namedBy(echo: Echo, item: HeartbeatItem): number {
    if (echo.length === 0 || !isHolder(item)) return 0;
    const { signer, entry } = this.#options;
    const bounds = { now: this.nowTick, maxAhead: BUCKETS - 1, entry, generation: item.conn };
    const verdict = signer.verify(echo, bounds);
    if (verdict.kind === "ok") return verdict.lease.deadline;
    this.refusedEchoes++;
    return 0;
  }

  #put(item: HeartbeatItem, due: number): void {
    const { nowTick } = this;
    item.place = Math.min(Math.max(due, nowTick + 1), nowTick + BUCKETS - 1);
    this.#bucketAt(item.place).add(item);
  }

  #bucketAt(tick: number): Set<HeartbeatItem> {
    return this.#buckets[tick % BUCKETS] as Set<HeartbeatItem>;
  }
}

function isHolder(item: HeartbeatItem): item is LeaseHolder {
  return "conn" in item;
}
