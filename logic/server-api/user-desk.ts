// SPDX-License-Identifier: Apache-2.0
import { type AdminPorts, closeSessions, refuseTokenOf, refuseTokensOf } from "../grpc/admin.ts";
import { readPresence } from "../presence/presence.ts";
import type { Router } from "../router/router.ts";
import type { Store } from "../store/store.ts";
import { internalId, internalTokenId } from "../tenant/tenant-ids.ts";

/** What {@link UserDesk} needs. */
export interface UserDeskPorts {
  admin: AdminPorts;
  router: Pick<Router, "lookup">;
  store: Pick<Store, "pushTargets">;
}

/** A device as the API shows it. */
export interface ShownDevice {
  readonly deviceId: string;
  readonly deviceName: string;
  readonly platform: string;
  readonly online: boolean;
  readonly background: boolean;
  readonly slot: string;
  readonly entry: string;
  readonly lastSeenMs: number;
  readonly ackedSeq: number;
}

/** A user as the API shows it. */
export interface ShownUser {
  readonly userId: string;
  readonly online: boolean;
  readonly devices: readonly ShownDevice[];
}

/** Users of a tenant: where they are, and who may be where. Ids are the tenant's own. */
export class UserDesk {
  readonly #ports: UserDeskPorts;

  constructor(ports: UserDeskPorts) {
    this.#ports = ports;
  }

  /** In the order asked for; one that nobody knows has no devices. @throws {ImError} RETRYABLE when the router or the store is away */
  async look(tenant: string, userIds: readonly string[]): Promise<ShownUser[]> {
    const { admin, router, store } = this.#ports;
    const internal = userIds.map((userId) => internalId(tenant, userId));
    const [users, routes, targets] = await Promise.all([
      readPresence(admin, internal),
      router.lookup(internal),
      store.pushTargets(internal),
    ]);
    const acked = new Map(targets.map((target) => [`${target.userId}\0${target.deviceId}`, target.ackedSeq]));
    return users.map(({ userId, online, devices }, at) => ({
      ...{ userId: userIds[at] ?? "", online },
      devices: devices.map((device) => ({
        ...device,
        entry: (device.online && routes.get(userId)?.find((route) => route.slot === device.slot)?.incarnation) || "",
        ackedSeq: acked.get(`${userId}\0${device.deviceId}`) ?? 0,
      })),
    }));
  }

  /** Closes sessions of the class or slot, "" = all; resolves with how many. @throws {ImError} RETRYABLE when the router is away */
  async kick(tenant: string, userId: string, { slot, reason }: { slot: string; reason: string }): Promise<number> {
    const request = { userId: internalId(tenant, userId), slot, reason };
    return (await closeSessions(this.#ports.admin, request)).sessions;
  }

  /** Tokens issued before `validAfterMs` (0 = now) are refused from now on. @throws {ImError} RETRYABLE when the store is away */
  async revoke(tenant: string, userId: string, validAfterMs: number): Promise<void> {
    await refuseTokensOf(this.#ports.admin, internalId(tenant, userId), validAfterMs);
  }

  /** The token with this `jti` is refused from now on; `expiresAtMs` 0 = nobody knows when it runs out. */
  async revokeToken(tenant: string, tokenId: string, expiresAtMs: number): Promise<void> {
    await refuseTokenOf(this.#ports.admin, internalTokenId(tenant, tokenId), expiresAtMs);
  }
}
