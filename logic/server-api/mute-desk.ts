// SPDX-License-Identifier: Apache-2.0
import type { MuteWatch } from "../mutes/mute-watch.ts";
import type { Mute, MuteStore } from "../store/mutes.ts";
import { internalId } from "../tenant/tenant-ids.ts";

/** What {@link MuteDesk} needs. */
export interface MuteDeskPorts {
  store: Pick<MuteStore, "set" | "find">;
  /** Of this process: it need not wait for its next look. */
  watch: Pick<MuteWatch, "poll">;
}

/** Who of a tenant may not write for a while. Ids are the tenant's own. */
export class MuteDesk {
  readonly #ports: MuteDeskPorts;

  constructor(ports: MuteDeskPorts) {
    this.#ports = ports;
  }

  /** Committed when it resolves, and in force everywhere within 2 s. False: too many are muted. @throws {ImError} RETRYABLE when the store is away */
  async set(tenant: string, userId: string, { forMs, reason }: { forMs: number; reason: string }): Promise<boolean> {
    const isSet = await this.#ports.store.set(internalId(tenant, userId), forMs, reason);
    if (isSet) await this.#ports.watch.poll();
    return isSet;
  }

  /** Undefined: it may write. */
  find(tenant: string, userId: string): Promise<Mute | undefined> {
    return this.#ports.store.find(internalId(tenant, userId));
  }
}
