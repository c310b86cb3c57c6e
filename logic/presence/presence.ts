// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { DevicePresence, UserPresence } from "#proto/gen/messages.ts";
import type { Route, Router } from "../router/router.ts";
import type { DeviceRecord } from "../store/identity.ts";
import type { Store } from "../store/store.ts";
import type { RouterMemory } from "./router-memory.ts";

export const MAX_PRESENCE_USERS = 500;

/** What {@link readPresence} needs. */
export interface PresencePorts {
  store: Pick<Store, "devicesOf">;
  router: Pick<Router, "lookup">;
  memory: Pick<RouterMemory, "requireWhole">;
  clock: Clock;
}

/**
 * Who is online: a device is when a route of it points at an entry with a lease. There is no other record of it, so it can
 * neither be forgotten nor go stale by itself. Devices that never logged in here are not listed.
 * @throws {ImError} BAD_REQUEST on too many users, RETRYABLE when the router or the store is away, or the router lost its memory just
 *   now: nobody is called offline because a server is
 */
export async function readPresence(ports: PresencePorts, userIds: readonly string[]): Promise<UserPresence[]> {
  if (userIds.length > MAX_PRESENCE_USERS)
    throw new ImError(ErrorCode.BAD_REQUEST, `more than ${MAX_PRESENCE_USERS} users: ask in several calls`);
  const wanted = [...new Set(userIds)];
  const [routes, devices] = await Promise.all([ports.router.lookup(wanted), ports.store.devicesOf(wanted)]);
  const byUser = Map.groupBy(devices, ({ userId }) => userId);
  const isRouted = ({ userId, deviceId }: DeviceRecord) =>
    routes.get(userId)?.some((route) => route.deviceId === deviceId) ?? false;
  if (!devices.every(isRouted)) await ports.memory.requireWhole();
  const nowMs = ports.clock.wallMs();
  return userIds.map((userId) => presenceOf(userId, byUser.get(userId) ?? [], routes.get(userId) ?? [], nowMs));
}

function presenceOf(
  userId: string,
  devices: readonly DeviceRecord[],
  routes: readonly Route[],
  nowMs: number,
): UserPresence {
  const routed = new Map(routes.map((route) => [route.deviceId, route]));
  const presences = devices.map(({ deviceId, deviceName, platform, appState, lastSeenMs }): DevicePresence => {
    const route = routed.get(deviceId);
    const common = { deviceId, deviceName, platform, background: appState === "background" };
    return route
      ? { ...common, slot: route.slot, online: true, lastSeenMs: nowMs }
      : { ...common, slot: "", online: false, lastSeenMs };
  });
  return { userId, online: presences.some(({ online }) => online), devices: presences };
}
