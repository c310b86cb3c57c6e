// SPDX-License-Identifier: Apache-2.0
import { tenantOf } from "#lib/tenant.ts";
import { type Command, Flag } from "#proto/commands.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { EntryDirectory } from "../session/session.ts";
import { shownTo } from "../tenant/tenant-port.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";
import type { RouteCache } from "./route-cache.ts";

const MAX_BATCH = 500;
/** Frames that wait for a lookup. More are dropped: they mean something only now. */
const MAX_WAITING = 5000;

/** Something for whoever is connected now. */
export interface EphemeralFrame {
  readonly userIds: readonly string[];
  readonly cmd: Command;
  /** The same for all of them. */
  readonly body: Uint8Array;
  /** The connection that it comes from. */
  readonly except?: { readonly incarnation: string; readonly conn: number } | undefined;
}

/** What {@link EphemeralFrames} needs. */
export interface EphemeralPorts {
  routes: Pick<RouteCache, "lookup">;
  entries: EntryDirectory;
  onRouterFault: (op: string, error: unknown) => void;
  defer: Defer;
  metrics: Pick<LogicMetrics, "ephemeralFrames">;
}

/**
 * Frames that are stored nowhere and pushed to nobody, to the sessions that users have now: one lookup per tick for all of them. Lost
 * with the router, with a slow client, with a full queue; whoever must know for certain asks.
 */
export class EphemeralFrames {
  readonly #ports: EphemeralPorts;
  readonly #batch: TickBatch<EphemeralFrame>;

  constructor(ports: EphemeralPorts) {
    this.#ports = ports;
    this.#batch = new TickBatch({
      defer: ports.defer,
      run: (batch) => this.#run(batch),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
      onRefused: () => ports.metrics.ephemeralFrames.inc({ result: "dropped" }),
    });
  }

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.#batch.isIdle;
  }

  /** The body is kept until it was sent. All users of a frame are of one tenant, and read its ids. */
  send(frame: EphemeralFrame): void {
    const [userId] = frame.userIds;
    if (userId === undefined) return;
    const tenant = tenantOf(userId);
    this.#batch.add(tenant === "" ? frame : { ...frame, body: shownTo(tenant, frame.cmd, frame.body) });
  }

  async #run(batch: readonly EphemeralFrame[]): Promise<void> {
    const { routes, entries, onRouterFault, metrics } = this.#ports;
    const users = new Set(batch.flatMap(({ userIds }) => userIds));
    let found: Awaited<ReturnType<EphemeralPorts["routes"]["lookup"]>>;
    try {
      found = await routes.lookup([...users]);
    } catch (error) {
      metrics.ephemeralFrames.inc({ result: "unknown" }, batch.length);
      onRouterFault("lookup", error);
      return;
    }
    let sent = 0;
    for (const { userIds, cmd, body, except } of batch) {
      for (const { incarnation, conn } of userIds.flatMap((userId) => found.get(userId) ?? [])) {
        if (conn === except?.conn && incarnation === except.incarnation) continue;
        if (entries.find(incarnation)?.send({ kind: RecordKind.REPLY, cmd, flags: Flag.NO_PERSIST, conn, body }))
          sent++;
      }
    }
    if (sent > 0) metrics.ephemeralFrames.inc({ result: "sent" }, sent);
  }
}
