// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type GrpcService, unaryService } from "#lib/grpc.ts";
import type { AuditRoutesRequest, PurgeEntryReply, PurgeEntryRequest, ReturnedRequest } from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import type { Store } from "../store/store.ts";
import { type AuditPorts, auditRoutes } from "./audit.ts";
import { whyHeld } from "./purge-leave.ts";
import { logicStatus, type ReturnedPorts, returned, type StatusPorts } from "./returned.ts";

/** What the control service needs. */
export interface ControlPorts extends AuditPorts {
  store: AuditPorts["store"] & Pick<Store, "fenceEntries">;
}

/** What the whole service needs. */
export type ControlServicePorts = ControlPorts & ReturnedPorts & StatusPorts;

/**
 * PurgeEntry: SQL first, so that the pod's incarnations stay dead whatever Redis forgets; then tombstones, then the
 * routes. Every step is idempotent: the operator repeats the call until `routesRemaining` is 0.
 * @throws {ImError} RETRYABLE when SQL or Redis is away, or when too many entries died at once; see {@link whyHeld}
 */
export async function purgeEntry(ports: ControlPorts, request: PurgeEntryRequest): Promise<PurgeEntryReply> {
  const { podUid } = request;
  if (podUid === "") throw new ImError(ErrorCode.BAD_REQUEST, "pod_uid is empty: name the pod whose routes must go");
  const held = await whyHeld(ports, podUid, request.force);
  if (held) throw new ImError(ErrorCode.RETRYABLE, held);
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

/** The LogicControl service, for the operator. */
export function controlService(ports: ControlServicePorts): GrpcService {
  return unaryService(serviceDefinition("im.uplink.v1.LogicControl"), {
    PurgeEntry: (request: PurgeEntryRequest) => purgeEntry(ports, request),
    AuditRoutes: (request: AuditRoutesRequest) => auditRoutes(ports, request),
    Status: () => logicStatus(ports),
    Returned: (request: ReturnedRequest) => returned(ports, request),
  });
}
