// SPDX-License-Identifier: Apache-2.0
import type { Route, Router } from "../router/router.ts";
import { classOf } from "../store/identity.ts";
import type { PeerLook } from "./peer-state.ts";

/** Users of one pipeline. */
const PART = 2000;

/**
 * Who is online now: routes that point at an entry with a lease. A user about whom a part of the router would have to be asked
 * that does not answer is absent: nobody is called offline because a server is away.
 * @throws {ImError} RETRYABLE when the router is away
 */
export async function lookAt(
  router: Pick<Router, "stored" | "leased">,
  userIds: readonly string[],
): Promise<Map<string, PeerLook>> {
  const looks = new Map<string, PeerLook>();
  for (let at = 0; at < userIds.length; at += PART) {
    const stored = await router.stored(userIds.slice(at, at + PART));
    const incarnations = new Set<string>();
    for (const routes of stored.values()) for (const { incarnation } of routes) incarnations.add(incarnation);
    const leased = await router.leased([...incarnations]);
    for (const [userId, routes] of stored) {
      const isKnown = routes.every(({ incarnation }) => leased.has(incarnation));
      if (isKnown) looks.set(userId, lookOf(routes.filter(({ incarnation }) => leased.get(incarnation))));
    }
  }
  return looks;
}

function lookOf(routes: readonly Route[]): PeerLook {
  return {
    platforms: [...new Set(routes.map(({ slot }) => classOf(slot)))].sort(),
    incarnations: [...new Set(routes.map(({ incarnation }) => incarnation))],
  };
}
