// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { LogicStatusReply, ReturnedReply, ReturnedRequest } from "#proto/gen/messages.ts";
import type { Router } from "../router/router.ts";
import { classOf } from "../store/identity.ts";
import type { Store } from "../store/store.ts";

/** What the answers to a drain need. */
export interface ReturnedPorts {
  store: Pick<Store, "devicesOf">;
  router: Pick<Router, "lookup">;
}

/** What {@link logicStatus} looks at. */
export interface StatusPorts {
  ackWatch: { readonly timeouts: number };
  clock: Clock;
  /** Of {@link clock}, when the process began. */
  startedMs: number;
}

const MAX_SESSIONS = 500;

/**
 * Who of those that an entry lost in its drain is at another entry now, and for how long each was at none. A session is back
 * when its user has a live route in a slot of the same class.
 * @throws {ImError} BAD_REQUEST on too many sessions, RETRYABLE when SQL or Redis is away
 */
export async function returned(ports: ReturnedPorts, { sessions }: ReturnedRequest): Promise<ReturnedReply> {
  if (sessions.length > MAX_SESSIONS)
    throw new ImError(ErrorCode.BAD_REQUEST, `more than ${MAX_SESSIONS} sessions: ask in several calls`);
  const users = [...new Set(sessions.map(({ userId }) => userId))];
  const [routes, devices] = await Promise.all([ports.router.lookup(users), ports.store.devicesOf(users)]);
  const loginAgoMs = new Map(devices.map((device) => [`${device.userId} ${device.deviceId}`, device.loginAgoMs]));
  const reply: ReturnedReply = { absent: [], offlineMs: [] };
  for (const [at, { userId, slot, closedAgoMs }] of sessions.entries()) {
    const route = routes.get(userId)?.find((one) => one.slot === slot || classOf(one.slot) === classOf(slot));
    if (!route) reply.absent.push(at);
    else {
      const agoMs = loginAgoMs.get(`${userId} ${route.deviceId}`) ?? closedAgoMs;
      reply.offlineMs.push(Math.max(0, closedAgoMs - agoMs));
    }
  }
  return reply;
}

/** How well deliveries are acknowledged. */
export function logicStatus({ ackWatch, clock, startedMs }: StatusPorts): LogicStatusReply {
  return { ackTimeouts: ackWatch.timeouts, uptimeMs: Math.round(clock.nowMs() - startedMs) };
}
