// SPDX-License-Identifier: Apache-2.0
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Router, SessionKey } from "../router/router.ts";
import type { EntryDirectory } from "../session/session.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";
import type { PushIntent } from "./offline.ts";

const MAX_BATCH = 500;
const MAX_WAITING = 20_000;

/** A DELIVER that found its connection gone. */
export interface Undelivered extends SessionKey {
  inboxSeq: number;
}

/** What {@link UnreachableHandler} needs. */
export interface UnreachablePorts {
  /** Lookups here must be new ones: what is remembered has just been wrong. */
  router: Pick<Router, "lookup">;
  /** Deletes ghost routes; what was remembered of them is forgotten. */
  changes: Pick<Router, "logout">;
  entries: EntryDirectory;
  offline: (intent: PushIntent) => void;
  /** The user's device in this slot was told of a message, which it must acknowledge in time. */
  delivered: (userId: string, slot: string, inboxSeq: number) => void;
  onRouterFault: (op: string, error: unknown) => void;
  defer: Defer;
  metrics: LogicMetrics;
}

/**
 * UNREACHABLE: deletes the ghost route, reads the router once more, and either tells the user's live sessions their
 * head (each logged in after the message or got its own DELIVER; a pull closes any doubt) or queues a push.
 */
export class UnreachableHandler {
  readonly #ports: UnreachablePorts;
  readonly #batch: TickBatch<Undelivered>;

  constructor(ports: UnreachablePorts) {
    this.#ports = ports;
    this.#batch = new TickBatch({
      defer: ports.defer,
      run: (batch) => this.#run(batch),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
      onRefused: () => ports.metrics.delivers.dropped++,
      // Nobody knows who is online: the reconciler finds whoever does not acknowledge.
      onFailed: (error) => ports.onRouterFault("unreachable", error),
    });
  }

  get isIdle(): boolean {
    return this.#batch.isIdle;
  }

  /** An entry that no longer knows whose connection it was names nobody: the user's next PING tells the head. */
  add(undelivered: Undelivered): void {
    if (undelivered.userId === "") this.#ports.metrics.delivers.unreachable++;
    else this.#batch.add(undelivered);
  }

  async #run(batch: readonly Undelivered[]): Promise<void> {
    const { router, changes, metrics } = this.#ports;
    metrics.delivers.unreachable += batch.length;
    const deleted = await changes.logout(batch);
    metrics.staleRoutes.inc(deleted.filter(Boolean).length);
    const routes = await router.lookup([...new Set(batch.map(({ userId }) => userId))]);
    for (const { userId, inboxSeq } of batch) {
      const reached = (routes.get(userId) ?? []).filter(({ incarnation, conn }) =>
        this.#ports.entries.find(incarnation)?.send({ kind: RecordKind.HEAD, conn, aux: inboxSeq }),
      );
      for (const { slot } of reached) this.#ports.delivered(userId, slot, inboxSeq);
      if (reached.length === 0) this.#ports.offline({ userId, inboxSeq, cause: "unreachable" });
    }
  }
}
