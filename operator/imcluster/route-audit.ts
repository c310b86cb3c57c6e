// SPDX-License-Identifier: Apache-2.0
import type { LivingEntry } from "#proto/gen/messages.ts";
import { rfc3339Seconds } from "../api/conditions.ts";
import type { ImCluster, RouterStatus } from "../api/v1alpha1.ts";
import type { ClusterEvents } from "./events.ts";
import type { Fleet, FleetIdentity } from "./fleet-client.ts";
import { isMoving, type ObservedEntry } from "./observed.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { isPurgeForced } from "./wanted.ts";

/** Without a reason to look sooner. */
export const AUDIT_EVERY_MS = 60_000;
/** While clients are being moved the router has enough to do, but not for longer than this. */
export const LATEST_MS = 600_000;
/** After one that found what it could not remove, or that nobody answered. */
export const RETRY_MS = 10_000;
/** A status write only for the time of an audit is worth it this seldom. */
const STATUS_TIME_MS = 600_000;

/** What is known of the router, between passes. Losing it only makes the next audit come sooner. */
export interface RoutesSeen {
  /** Wall clock of the last audit, also of one that nobody answered. */
  atMs: number;
  /** A logic pod answered. */
  isAnswered: boolean;
  /** Routes of entries that no longer exist, which could not be removed. */
  left: number;
  /** What entries told when they were audited, by pod UID: another one means that the container started again. */
  told: ReadonlyMap<string, string>;
}

/** Is it time to compare the router with the pods? Pure. */
export function isAuditDue(observed: ObservedCluster, seen: RoutesSeen | undefined): boolean {
  if (observed.logicPods.length === 0) return false;
  if (!seen) return observed.entries.length > 0;
  const sinceMs = observed.nowMs - seen.atMs;
  if (sinceMs < 0 || sinceMs >= LATEST_MS) return true;
  if (!observed.entries.some(isMoving)) {
    if (sinceMs >= AUDIT_EVERY_MS) return true;
    if ((seen.left > 0 || !seen.isAnswered) && sinceMs >= RETRY_MS) return true;
  }
  // Users who were there are taken for online: that does not wait.
  return livingOf(observed.entries).some(({ podUid, incarnation }) => {
    const before = seen.told.get(podUid);
    return incarnation !== "" && before !== undefined && before !== "" && before !== incarnation;
  });
}

/** Pods that are not known to be dead, and what they told. Pure. */
export function livingOf(entries: readonly ObservedEntry[]): LivingEntry[] {
  return entries
    .filter(({ isDead }) => !isDead)
    .map(({ uid, probe }) => ({ podUid: uid, incarnation: probe?.incarnation ?? "" }));
}

/** The part of the status that tells it. The time alone is no reason for a write. Pure. */
export function routerFigures({ cluster, routes, nowMs }: ObservedCluster): { router?: RouterStatus } {
  if (!routes) return cluster.status?.router ? { router: cluster.status.router } : {};
  const before = cluster.status?.router;
  const now = { connected: routes.isAnswered, ghostRoutes: routes.left };
  const isSame = before?.connected === now.connected && before.ghostRoutes === now.ghostRoutes;
  const isRecent = nowMs - Date.parse(before?.lastAudit ?? "") < STATUS_TIME_MS;
  const lastAudit = isSame && isRecent ? before.lastAudit : rfc3339Seconds(routes.atMs);
  return { router: { ...now, ...(lastAudit ? { lastAudit } : {}) } };
}

/** What entries told for the first time since the audit: the next thing that one of them tells is then a restart. */
function withFirstWords(observed: ObservedCluster, seen: RoutesSeen): RoutesSeen {
  const first = livingOf(observed.entries).filter(
    ({ podUid, incarnation }) => incarnation !== "" && !seen.told.get(podUid),
  );
  if (first.length === 0) return seen;
  return { ...seen, told: new Map([...seen.told, ...first.map((one) => [one.podUid, one.incarnation] as const)]) };
}

export interface RouteAuditOptions {
  fleet: Pick<Fleet, "audit">;
  events: Pick<ClusterEvents, "record">;
  /** After routes of entries that no longer exist were removed. */
  onGhosts?(cluster: ImCluster, removed: number): void;
}

/** Has logic compare the router with the pods that exist, and remove what points at others. */
export class RouteAudit {
  readonly #options: RouteAuditOptions;

  constructor(options: RouteAuditOptions) {
    this.#options = options;
  }

  /** When it is due. @returns what is known now */
  async run(
    observed: ObservedCluster,
    seen: RoutesSeen | undefined,
    who: FleetIdentity | undefined,
  ): Promise<RoutesSeen | undefined> {
    if (!who || !isAuditDue(observed, seen)) return seen && withFirstWords(observed, seen);
    const { cluster, logicPods, nowMs: atMs } = observed;
    const living = livingOf(observed.entries);
    const found = await this.#options.fleet.audit(who, logicPods, { living, force: isPurgeForced(cluster) });
    if (!found) return { atMs, isAnswered: false, left: seen?.left ?? 0, told: seen?.told ?? new Map() };
    if (found.deleted > 0) this.#tell(cluster, found.deleted);
    const told = new Map(
      living.map(({ podUid, incarnation }) => [podUid, incarnation || (seen?.told.get(podUid) ?? "")]),
    );
    return { atMs, isAnswered: true, left: found.remaining, told };
  }

  #tell(cluster: ImCluster, removed: number): void {
    this.#options.onGhosts?.(cluster, removed);
    const message = `Removed ${removed} routes of entries that no longer exist`;
    this.#options.events.record(cluster, { type: "Normal", reason: "GhostRoutesRemoved", message });
  }
}
