// SPDX-License-Identifier: Apache-2.0

/** Where a reader of a {@link ChangeLog} is. Opaque; "" before the first reading. */
export type LogPosition = string;

/** What came after a position. */
export interface ChangePage {
  /** Whose sessions came or went, in any order, some of them twice. */
  readonly userIds: readonly string[];
  readonly position: LogPosition;
  /** What came between is not known: it was too much, or the memory of the log was lost. Everybody may have changed. */
  readonly isGap: boolean;
  /** More is there already. */
  readonly hasMore: boolean;
}

/**
 * Tells all logics whose sessions came or went, so that none has to ask for everybody it watches. A hint with a short memory:
 * what it loses is found by looking at everybody once in a while. Both methods reject with ImError RETRYABLE while it is
 * away.
 */
export interface ChangeLog {
  /** Appends, at most {@link MAX_APPEND_USERS} ids of 1 to 64 characters without a space. */
  append(userIds: readonly string[]): Promise<void>;
  /** What came after `position`; from "" on nothing, but where the log is. */
  read(position: LogPosition): Promise<ChangePage>;
}

/** Ids in one call of {@link ChangeLog.append}. */
export const MAX_APPEND_USERS = 10_000;
