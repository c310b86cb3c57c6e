// SPDX-License-Identifier: Apache-2.0

/** Users that one user may have blocked. */
export const MAX_BLOCKED = 500;

/** What is to change; all of it, or nothing. */
export interface BlockChange {
  readonly userId: string;
  /** Distinct, none of them in both lists or the user itself; each with its one-to-one conversation. */
  readonly block: readonly BlockedPeer[];
  readonly unblock: readonly BlockedPeer[];
  /** Wall clock, ms. */
  readonly atMs: number;
}

/** Another user, and the one-to-one conversation with it. */
export interface BlockedPeer {
  readonly peerId: string;
  readonly conversationId: string;
}

/** `full`: there would be more than {@link MAX_BLOCKED}; nothing was changed. */
export interface BlockResult {
  readonly kind: "changed" | "unchanged" | "full";
  /** Of the list, after it. */
  readonly version: number;
}

/** The list of one user. */
export interface BlockList {
  /** Grows with each change; 0 = there was none yet. */
  readonly version: number;
  readonly userIds: readonly string[];
}

/**
 * Whom users have blocked. A change takes the lock of each pair's conversation, as appends do: whatever is appended after it knows.
 * What is appended by a blocked one is hidden, see AppendInput.
 */
export interface BlockStore {
  change(change: BlockChange): Promise<BlockResult>;
  list(userId: string): Promise<BlockList>;
  /** Those of the users who have blocked this one. */
  blockersAmong(userId: string, others: readonly string[]): Promise<string[]>;
}
