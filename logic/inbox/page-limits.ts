// SPDX-License-Identifier: Apache-2.0

/** What a client may wish for, and what it gets when it wishes for nothing. */
export interface PageLimit {
  byDefault: number;
  max: number;
}

export const PAGE_EVENTS: PageLimit = { byDefault: 200, max: 1000 };
/** A page must fit a frame of 256 KiB with what is around it; one event of 64 KiB always does. */
export const PAGE_BYTES: PageLimit = { byDefault: 128 * 1024, max: 240 * 1024 };
/** Inside WELCOME: a cold start takes one round trip and less than 50 KB, whatever waits. */
export const FIRST_PAGE_BYTES: PageLimit = { byDefault: 48 * 1024, max: PAGE_BYTES.max };
/** Conversations in one page of a snapshot. */
export const PAGE_HEADS: PageLimit = { byDefault: 50, max: 100 };

/** The wish of a client within the limit. */
export function bounded(wish: number, { byDefault, max }: PageLimit): number {
  return wish > 0 ? Math.min(wish, max) : byDefault;
}
