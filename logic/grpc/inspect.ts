// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type GrpcService, unaryService } from "#lib/grpc.ts";
import type {
  LocatedDevice,
  LocateReply,
  LocateRequest,
  TracedUser,
  TraceReply,
  TraceRequest,
} from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import type { RouterMemory } from "../presence/router-memory.ts";
import type { Route, Router } from "../router/router.ts";
import type { TracedRecipient } from "../store/message-traces.ts";
import type { Store } from "../store/store.ts";
import { requireInternalId } from "../tenant/peer-id.ts";

const MAX_MESSAGE_CHARS = 128;

/** What the inspect service needs. */
export interface InspectPorts {
  store: Pick<Store, "devicesOf" | "pushTargets" | "inboxHeads" | "traces">;
  router: Pick<Router, "lookup">;
  memory: Pick<RouterMemory, "requireWhole">;
  clock: Pick<Clock, "wallMs">;
}

/** The LogicInspect service: what people who run the service may look at. */
export function inspectService(ports: InspectPorts): GrpcService {
  return unaryService(serviceDefinition("im.uplink.v1.LogicInspect"), {
    Locate: (request: LocateRequest) => locate(ports, request),
    Trace: (request: TraceRequest) => trace(ports, request),
  });
}

/**
 * Where the user's devices are.
 * @throws {ImError} BAD_REQUEST, or RETRYABLE when the router or the store is away, or the router lost its memory just now
 */
export async function locate(ports: InspectPorts, { userId }: LocateRequest): Promise<LocateReply> {
  requireInternalId(userId);
  const [devices, { heads }] = await Promise.all([devicesOf(ports, [userId]), ports.store.inboxHeads([userId])]);
  const located = devices.get(userId) ?? [];
  if (located.some(({ online }) => !online)) await ports.memory.requireWhole();
  return { inboxHead: heads.get(userId) ?? 0, devices: located };
}

/**
 * What became of a message; `found` is false for one that the user neither sent nor has.
 * @throws {ImError} BAD_REQUEST, or RETRYABLE when the router or the store is away
 */
export async function trace(ports: InspectPorts, { userId, message }: TraceRequest): Promise<TraceReply> {
  requireInternalId(userId);
  if (message === "" || message.length > MAX_MESSAGE_CHARS || message.includes("\0"))
    throw new ImError(ErrorCode.BAD_REQUEST, `message must have 1 to ${MAX_MESSAGE_CHARS} characters`);
  const found = await ports.store.traces.find(userId, message);
  if (!found) return NOT_FOUND;
  const devices = await devicesOf(
    ports,
    found.recipients.map((recipient) => recipient.userId),
  );
  const { messageId, conversationId, convSeq, sentAtMs, hasMore } = found;
  return {
    ...NOT_FOUND,
    ...{ found: true, messageId, conversationId, convSeq, sentAtMs, hasMore },
    ...found.message,
    expired: found.message === undefined,
    users: found.recipients.map((recipient) => tracedUser(recipient, devices.get(recipient.userId) ?? [])),
  };
}

const NOT_FOUND: TraceReply = {
  found: false,
  messageId: "",
  conversationId: "",
  convSeq: 0,
  sentAtMs: 0,
  expired: false,
  sender: "",
  clientMessageId: "",
  contentType: "",
  contentBytes: 0,
  users: [],
  hasMore: false,
};

function tracedUser(recipient: TracedRecipient, devices: LocatedDevice[]): TracedUser {
  const { userId, inboxSeq, head, pushedSeq, steps } = recipient;
  return { userId, inboxSeq, inboxHead: head, pushedSeq, devices, pushes: steps };
}

/** Every device of each user, online ones first. */
async function devicesOf(
  { store, router, clock }: InspectPorts,
  userIds: readonly string[],
): Promise<Map<string, LocatedDevice[]>> {
  const [records, targets, routes] = await Promise.all([
    store.devicesOf(userIds),
    store.pushTargets(userIds),
    router.lookup(userIds),
  ]);
  const key = (userId: string, deviceId: string): string => `${userId}\0${deviceId}`;
  const acked = new Map(targets.map((target) => [key(target.userId, target.deviceId), target.ackedSeq]));
  const nowMs = clock.wallMs();
  const byUser = new Map<string, LocatedDevice[]>();
  for (const { userId, deviceId, deviceName, platform, lastSeenMs } of records) {
    const route = routes.get(userId)?.find((one) => one.deviceId === deviceId);
    const device: LocatedDevice = {
      ...{ deviceId, deviceName, platform, ackedSeq: acked.get(key(userId, deviceId)) ?? 0 },
      ...placeOf(route),
      lastSeenMs: route ? nowMs : lastSeenMs,
    };
    byUser.set(userId, [...(byUser.get(userId) ?? []), device]);
  }
  for (const devices of byUser.values()) devices.sort(onlineFirst);
  return byUser;
}

function placeOf(
  route: Route | undefined,
): Pick<LocatedDevice, "online" | "slot" | "incarnation" | "conn" | "loginSeq"> {
  if (!route) return { online: false, slot: "", incarnation: "", conn: 0, loginSeq: 0 };
  const { slot, incarnation, conn, loginSeq } = route;
  return { online: true, slot, incarnation, conn, loginSeq };
}

function onlineFirst(a: LocatedDevice, b: LocatedDevice): number {
  return Number(b.online) - Number(a.online) || b.lastSeenMs - a.lastSeenMs || (a.deviceId < b.deviceId ? -1 : 1);
}
