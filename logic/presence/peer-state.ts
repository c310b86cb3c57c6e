// SPDX-License-Identifier: Apache-2.0
import type { PeerPresence } from "#proto/gen/messages.ts";

/** What one look at the router says of a user. */
export interface PeerLook {
  /** Classes of the sessions that are online, sorted, each once. */
  readonly platforms: readonly string[];
  /** Of the entries that hold them. */
  readonly incarnations: readonly string[];
}

/** How a user is, as its watchers were told. */
export interface PeerState {
  readonly platforms: readonly string[];
  /** Wall clock, ms; 0 = not known. Means nothing while online. */
  readonly lastSeenMs: number;
  /** The last look missed somebody who was online: the next one decides. */
  readonly isSuspect: boolean;
}

/** What somebody is told about a user whom it may not see: the same as of one who was never there. */
export const HIDDEN: PeerState = { platforms: [], lastSeenMs: 0, isSuspect: false };

/** What a look changes. */
export interface LookRules {
  /** May anybody be called offline? Not while the router is being told again who is online. */
  readonly mayLeave: boolean;
  /** Wall clock, ms. */
  readonly nowMs: number;
}

/**
 * The state after a look. Who comes is believed at once; who is missing only when two looks in a row miss it, so that neither a
 * reconnect nor a router that was flushed a moment ago makes anybody blink.
 */
export function nextState(before: PeerState, { platforms }: PeerLook, { mayLeave, nowMs }: LookRules): PeerState {
  const { lastSeenMs } = before;
  const isMissing = before.platforms.some((platform) => !platforms.includes(platform));
  if (!isMissing) return { platforms, lastSeenMs, isSuspect: false };
  if (!before.isSuspect || !mayLeave) {
    const all = [...new Set([...before.platforms, ...platforms])].sort();
    return { platforms: all, lastSeenMs, isSuspect: true };
  }
  return { platforms, lastSeenMs: platforms.length === 0 ? nowMs : lastSeenMs, isSuspect: false };
}

/** Do watchers see a difference? */
export function isVisibleChange(before: PeerState, after: PeerState): boolean {
  return before.platforms.join() !== after.platforms.join();
}

/** The state as it travels. */
export function peerPresence(userId: string, { platforms, lastSeenMs }: PeerState): PeerPresence {
  const online = platforms.length > 0;
  return { userId, online, platforms: [...platforms], lastSeenMs: online ? 0 : lastSeenMs };
}
