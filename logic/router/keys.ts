// SPDX-License-Identifier: Apache-2.0

/** Names and values in the router's Redis. Everything of one user, and of one incarnation, shares a hash tag. */

/** Shards of an incarnation's reverse index: SSCAN steps and set rehashes stay small at 20,000 sessions. */
export const INDEX_SHARDS = 16;

/**
 * Version of the route value. Its first four fields keep their place in every version, so logins of different versions
 * compare. A value of another version is nobody's route to us, and only a newer login takes its place.
 */
export const ROUTE_VERSION = 1;

/** The `turn`-th candidate for the generation key of a master. */
export function generationKey(turn: number): string {
  return turn === 0 ? "router:generation" : `router:generation:{${turn}}`;
}

export function routeKey(userId: string): string {
  return `r:{${userId}}`;
}

export function leaseKey(incarnation: string): string {
  return `lease:{${incarnation}}`;
}

export function tombKey(incarnation: string): string {
  return `tomb:{${incarnation}}`;
}

/** Reverse index shard of a connection. */
export function indexKey(incarnation: string, conn: number): string {
  return `e:{${incarnation}}:${String(conn % INDEX_SHARDS).padStart(2, "0")}`;
}

export function indexKeys(incarnation: string): string[] {
  return Array.from({ length: INDEX_SHARDS }, (_, shard) => indexKey(incarnation, shard));
}

/**
 * Member of the reverse index. A connection number is never used twice by an incarnation, so removing the member
 * of a closed connection cannot hide the route of a later one.
 */
export function indexMember(conn: number, userId: string): string {
  return `${conn}:${userId}`;
}

export function userOfIndexMember(member: string): string {
  return member.slice(member.indexOf(":") + 1);
}

export function sessionPrefix(incarnation: string, conn: number): string {
  return `${incarnation};${conn};`;
}

export function routeTail(deviceId: string): string {
  return `${ROUTE_VERSION};${deviceId}`;
}

/** What a route value says; undefined when it is none of this version. */
export function parseRoute(
  value: string,
): { incarnation: string; conn: number; loginSeq: number; deviceId: string } | undefined {
  const match = /^([^;]+);(\d+);(\d+);(\d+);?(.*)$/s.exec(value);
  if (!match) return undefined;
  const [, incarnation = "", conn, loginSeq, version, deviceId = ""] = match;
  if (Number(version) !== ROUTE_VERSION) return undefined;
  return { incarnation, conn: Number(conn), loginSeq: Number(loginSeq), deviceId };
}
