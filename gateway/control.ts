// SPDX-License-Identifier: Apache-2.0
import { parseEndpoint } from "#lib/endpoint.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type GrpcService, unaryService } from "#lib/grpc.ts";
import type {
  CordonRequest,
  DrainedSessionsReply,
  DrainedSessionsRequest,
  DrainRequest,
  ShedRequest,
  StatusReply,
} from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import type { DrainOrder, ReconnectGrant } from "./drain.ts";

/** What the operator may ask of an entry. */
export interface ControlTarget {
  status(): StatusReply;
  /** Not ready for new connections; existing ones stay. */
  setCordoned(isCordoned: boolean): void;
  drain(order: DrainOrder): void;
  /** Some clients are asked to move; it serves on. @param endpoints addresses of entries with room, the best first */
  shed(grant: ReconnectGrant, endpoints: readonly string[]): void;
  /** A page of the sessions that a drain moved or closed. */
  drained(cursor: number): DrainedSessionsReply;
}

const MAX_DRAIN_MS = 24 * 3_600_000;
const MAX_LEASE_MS = 60_000;
/** Addresses for clients that are kept of an order. */
const MAX_HINTS = 8;

/** Those of the addresses that are some. */
function usable(endpoints: readonly string[]): string[] {
  return endpoints.filter((address) => parseEndpoint(`direct=${address}`)).slice(0, MAX_HINTS);
}

/** `EntryControl`, for role operator. Every call may be repeated. */
export function controlService(entry: ControlTarget): GrpcService {
  return unaryService(serviceDefinition("im.uplink.v1.EntryControl"), {
    Status: () => entry.status(),
    Cordon: (_request: CordonRequest) => {
      entry.setCordoned(true);
      return entry.status();
    },
    Uncordon: (_request: CordonRequest) => {
      if (entry.status().draining) throw new ImError(ErrorCode.CONFLICT, "a drain cannot be taken back");
      entry.setCordoned(false);
      return entry.status();
    },
    Drain: (request: DrainRequest) => {
      const { drainId, windowMs, deadlineMs, lease, endpoints } = request;
      if (drainId === "") throw new ImError(ErrorCode.BAD_REQUEST, "drain_id must not be empty");
      if (deadlineMs > MAX_DRAIN_MS) throw new ImError(ErrorCode.BAD_REQUEST, "deadline_ms is more than a day");
      entry.drain({
        ...{ drainId, windowMs: Math.min(windowMs, deadlineMs), deadlineMs },
        ...{ isHeld: request.hold, isForced: request.force },
        ...(lease ? { lease: { ...lease, ttlMs: Math.min(lease.ttlMs, MAX_LEASE_MS) } } : {}),
        endpoints: usable(endpoints),
      });
      return entry.status();
    },
    Shed: ({ lease, endpoints }: ShedRequest) => {
      if (!lease) throw new ImError(ErrorCode.BAD_REQUEST, "lease must be set");
      entry.shed(lease, usable(endpoints));
      return entry.status();
    },
    DrainedSessions: (request: DrainedSessionsRequest) => entry.drained(request.cursor),
  });
}
