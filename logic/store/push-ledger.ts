// SPDX-License-Identifier: Apache-2.0

/** Everything of the user's inbox up to `inboxSeq` needs no push any more. */
export interface PushMark {
  userId: string;
  inboxSeq: number;
}

/** Messages of muted conversations that may hide, from the end of an inbox, an older one that is owed a push. */
export const MUTED_WINDOW = 100;

/** A push that is late: nobody acknowledged or pushed up to `inboxSeq`. */
export interface OwedPush extends PushMark {
  /** How often it was taken, this time included. */
  tries: number;
}

/**
 * What the database knows about pushes: with it a push is late when Redis is lost, never lost. Faults as in Store.
 */
export interface PushLedger {
  /** How far the users were pushed to; absent = never. */
  pushedSeqs(userIds: readonly string[]): Promise<Map<string, number>>;
  /** Moves marks forward, never back and never past the head, and ends the debts that they cover. */
  recordPushes(marks: readonly PushMark[]): Promise<void>;
  /**
   * Looks at appends that are older than `olderThanMs`, at most `limit` of them, each once: recipients who neither
   * acknowledged nor were pushed to become debts; what is of a conversation they muted is no debt. Callers at the same time share the work.
   */
  findUnpushed(request: UnpushedRequest): Promise<UnpushedCount>;
  /** Takes debts that are free, the oldest first; nobody else gets them for `holdMs`. */
  claimOwed(request: { holdMs: number; limit: number }): Promise<OwedPush[]>;
}

/** Which appends {@link PushLedger.findUnpushed} looks at. */
export interface UnpushedRequest {
  olderThanMs: number;
  /** Most appends. */
  limit: number;
  /**
   * Platform class of which a device must have acknowledged, where the user has any. Default: any device of the user
   * is enough. The same rule as before a push.
   */
  readByClass?: string;
}

/** Result of one {@link PushLedger.findUnpushed}. */
export interface UnpushedCount {
  /** Appends looked at. */
  appends: number;
  /** Debts found. */
  owed: number;
}
