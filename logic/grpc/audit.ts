// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { AuditRoutesReply, AuditRoutesRequest } from "#proto/gen/messages.ts";
import { type Standing, standingOf } from "../router/ghosts.ts";
import type { Inspection, Router } from "../router/router.ts";
import type { EntryStart, Store } from "../store/store.ts";
import { type LeavePorts, whyHeld } from "./purge-leave.ts";

/** Starts of entries that one call looks at: two commands of Redis each, most of the time. */
const PAGE = 500;
/** More pods than the largest fleet has; a longer list is a mistake. */
const MAX_LIVING = 1_000;

/** What the audit needs. */
export interface AuditPorts extends LeavePorts {
  store: Pick<Store, "entryDeaths" | "entryStarts" | "fenceIncarnation">;
  router: Pick<Router, "inspect" | "fence" | "purge">;
  /** Ends the stream of a fenced incarnation, if it is attached here. */
  onFenced: (incarnation: string) => void;
}

interface Ghost extends Inspection {
  start: EntryStart;
  standing: Exclude<Standing, "living">;
}

const NOTHING: Inspection = { routes: 0, isLeased: false };

/**
 * AuditRoutes: looks at one page of the starts of entries, in SQL, for those that can no longer live, and takes away what
 * the router still holds of them: fence first, as in PurgeEntry. One without a pod that the asker knows is left alone
 * while it holds a lease, because it serves somebody; then it goes as far as the guard of PurgeEntry lets it.
 * @throws {ImError} RETRYABLE when SQL or Redis is away, BAD_REQUEST for too long a list
 */
export async function auditRoutes(ports: AuditPorts, request: AuditRoutesRequest): Promise<AuditRoutesReply> {
  if (request.living.length > MAX_LIVING)
    throw new ImError(ErrorCode.BAD_REQUEST, `living names ${request.living.length} pods, more than ${MAX_LIVING}`);
  const starts = await ports.store.entryStarts(request.cursor, PAGE);
  const ghosts = await findGhosts(ports, starts, request);
  const last = starts.length === PAGE ? starts.at(-1)?.incarnation : undefined;
  const reply = { cursor: last ?? "", incarnations: ghosts.length, routesDeleted: 0, routesRemaining: 0 };
  for (const ghost of ghosts) {
    if (!(await bury(ports, ghost, request.force))) {
      reply.routesRemaining += ghost.routes;
      continue;
    }
    if (ghost.routes === 0) continue;
    const { deleted, remaining } = await ports.router.purge(ghost.start.incarnation);
    reply.routesDeleted += deleted;
    reply.routesRemaining += remaining;
  }
  if (reply.routesDeleted > 0 || reply.routesRemaining > 0) ports.log.warn({ ...reply }, "ghost routes found");
  return reply;
}

async function findGhosts(ports: AuditPorts, starts: readonly EntryStart[], { living }: AuditRoutesRequest) {
  const told = new Map(living.map(({ podUid, incarnation }) => [podUid, incarnation]));
  const suspects = starts.flatMap((start) => {
    const standing = standingOf(start, told);
    return standing === "living" ? [] : [{ start, standing }];
  });
  const found = await ports.router.inspect(suspects.map(({ start }) => start.incarnation));
  const ghosts = suspects.map((suspect, at): Ghost => ({ ...suspect, ...(found[at] ?? NOTHING) }));
  return ghosts.filter(({ standing, isLeased }) => standing !== "podless" || !isLeased);
}

/** Declares it dead where that is not done. @returns false when it is held back */
async function bury(ports: AuditPorts, ghost: Ghost, isForced: boolean): Promise<boolean> {
  const { incarnation, podUid } = ghost.start;
  const isThere = ghost.isLeased || ghost.routes > 0;
  if (ghost.standing === "podless") {
    if (!isThere) return true;
    if ((await whyHeld(ports, podUid, isForced)) !== undefined) return false;
  }
  if (ghost.standing !== "dead") await ports.store.fenceIncarnation(incarnation);
  if (isThere) {
    ports.onFenced(incarnation);
    await ports.router.fence(incarnation);
  }
  return true;
}
