// SPDX-License-Identifier: Apache-2.0
import { RecordKind } from "#proto/uplink/record.ts";
import type { Router } from "../router/router.ts";
import type { EntryDirectory } from "../session/session.ts";
import type { Fired } from "./ack-wheel.ts";

/** What {@link OverdueSlots} needs. */
export interface OverduePorts {
  router: Pick<Router, "lookup">;
  entries: EntryDirectory;
  onRouterFault: (op: string, error: unknown) => void;
}

/**
 * Tells the entries the heads of slots that did not acknowledge in time: when the DELIVER was lost on its way, the client
 * pulls at once instead of after its next PING. A dead connection is found by the entry's own heartbeat.
 */
export class OverdueSlots {
  readonly #ports: OverduePorts;

  constructor(ports: OverduePorts) {
    this.#ports = ports;
  }

  /** Never rejects. */
  async tell(fired: readonly Fired[]): Promise<void> {
    const { router, entries, onRouterFault } = this.#ports;
    try {
      const routes = await router.lookup([...new Set(fired.map(({ userId }) => userId))]);
      for (const { userId, slot, inboxSeq } of fired)
        for (const route of routes.get(userId) ?? [])
          if (route.slot === slot)
            entries.find(route.incarnation)?.send({ kind: RecordKind.HEAD, conn: route.conn, aux: inboxSeq });
    } catch (error) {
      onRouterFault("overdue", error);
    }
  }
}
