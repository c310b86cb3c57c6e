// SPDX-License-Identifier: Apache-2.0

/** A user's slot: what was sent there is acknowledged by the one device in it. */
export interface SlotKey {
  userId: string;
  slot: string;
}

/** Deliveries to a slot that wait for an acknowledgement: inbox seqs from `fromSeq` to `inboxSeq`. */
export interface Armed extends SlotKey {
  fromSeq: number;
  inboxSeq: number;
  /** Ms until the oldest of them must be acknowledged. */
  dueInMs: number;
}

/** Everything up to `inboxSeq` was acknowledged by the slot's device. */
export interface Settled extends SlotKey {
  inboxSeq: number;
}

/** Deliveries that were not acknowledged in time. Their push intent is in the stream already. */
export interface Fired extends SlotKey {
  fromSeq: number;
  inboxSeq: number;
}

/** One shard after it was looked at. */
export interface ShardState {
  fired: Fired[];
  /** Slots that wait. */
  pending: number;
  /** Ms by which the latest deadline was missed. */
  lagMs: number;
  /** Ms until the next deadline; undefined when nothing waits. */
  nextInMs: number | undefined;
}

/**
 * Who must be pushed to unless they acknowledge in time. Shared by all logic processes: each may arm, settle and fire for
 * every user, and each deadline fires once. It may forget everything at any moment: the reconciler makes up for it.
 * Every method rejects with ImError RETRYABLE when it cannot be reached.
 */
export interface AckWheel {
  /**
   * Takes acknowledgements, then deliveries. A slot that keeps acknowledging never fires; one that stopped fires when
   * its oldest unacknowledged delivery is due, to within {@link GRAIN_MS} before. An acknowledgement may come before its
   * delivery, up to {@link REMEMBER_MS}; repeated and older ones change nothing.
   */
  update(settled: readonly Settled[], armed: readonly Armed[]): Promise<void>;
  /** Turns what is due in these shards into push intents, at most {@link FIRE_LIMIT} slots each; by shard. */
  fire(shards: readonly number[]): Promise<ShardState[]>;
}

/** Deliveries to one slot this close share the deadline of the first. */
export const GRAIN_MS = 500;
/** How long the position of a slot that waits for nothing is remembered. */
export const REMEMBER_MS = 3000;
/** Slots fired by one call per shard: keeps a script below a millisecond. */
export const FIRE_LIMIT = 100;
