// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type GrpcService, unaryService } from "#lib/grpc.ts";
import type { Logger } from "#lib/logger.ts";
import type { PurgeEntryReply, PurgeEntryRequest } from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import type { LogicMetrics } from "../metrics.ts";
import { DEATH_WINDOW_MS, judgePurge } from "../router/purge-guard.ts";
import type { Router } from "../router/router.ts";
import type { Store } from "../store/store.ts";

/** What the control service needs. */
export interface ControlPorts {
  store: Pick<Store, "fenceEntries" | "entryDeaths">;
  router: Pick<Router, "fence" | "purge">;
  /** Ends the stream of a fenced incarnation, if it is attached here. */
  onFenced: (incarnation: string) => void;
  log: Logger;
  metrics: Pick<LogicMetrics, "purgesHeld">;
}

/**
 * PurgeEntry: SQL first, so that the pod's incarnations stay dead whatever Redis forgets; then tombstones, then the
 * routes. Every step is idempotent: the operator repeats the call until `routesRemaining` is 0.
 * @throws {ImError} RETRYABLE when SQL or Redis is away, or when too many entries died at once; see {@link judgePurge}
 */
export async function purgeEntry(ports: ControlPorts, request: PurgeEntryRequest): Promise<PurgeEntryReply> {
  const { podUid } = request;
  if (podUid === "") throw new ImError(ErrorCode.BAD_REQUEST, "pod_uid is empty: name the pod whose routes must go");
  await requireLeave(ports, request);
  const incarnations = await ports.store.fenceEntries(podUid);
  const reply: PurgeEntryReply = { incarnations: incarnations.length, routesDeleted: 0, routesRemaining: 0 };
  for (const incarnation of incarnations) {
    ports.onFenced(incarnation);
    await ports.router.fence(incarnation);
    const { deleted, remaining } = await ports.router.purge(incarnation);
    reply.routesDeleted += deleted;
    reply.routesRemaining += remaining;
  }
  ports.log.info({ podUid, ...reply }, "entry purged");
  return reply;
}

async function requireLeave(ports: ControlPorts, { podUid, force }: PurgeEntryRequest): Promise<void> {
  const deaths = await ports.store.entryDeaths(podUid, DEATH_WINDOW_MS);
  const verdict = judgePurge(deaths, force);
  if (verdict.kind === "purge") return;
  ports.metrics.purgesHeld.inc();
  const what = `${verdict.deaths} of ${deaths.known} entries were declared dead within a minute`;
  ports.log.error({ podUid, ...deaths }, `${what}: its routes are not purged; see imcluster.io/force-purge`);
  throw new ImError(ErrorCode.RETRYABLE, `${what}: purging is held, their leases end the routes of those really dead`);
}

/** The LogicControl service, for the operator. */
export function controlService(ports: ControlPorts): GrpcService {
  return unaryService(serviceDefinition("im.uplink.v1.LogicControl"), {
    PurgeEntry: (request: PurgeEntryRequest) => purgeEntry(ports, request),
  });
}
