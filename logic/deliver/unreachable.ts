// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Router, SessionKey } from "../router/router.ts";
import type { EntryDirectory } from "../session/session.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";
import type { PushIntent } from "./offline.ts";

const MAX_BATCH = 500;
const MAX_WAITING = 20_000;
/** Two connections of one user that are gone tell of one message within this. */
const TWICE_MS = 2000;
/** Users whose last intent is remembered. */
const MAX_USERS = 10_000;

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
  /** Is the user not to be pushed to for what has this inbox seq? */
  isSilent: (userId: string, inboxSeq: number) => boolean;
  /** The user's device in this slot was told of a message, which it must acknowledge in time. */
  delivered: (userId: string, slot: string, inboxSeq: number) => void;
  onRouterFault: (op: string, error: unknown) => void;
  clock: Clock;
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
  /** By user: what a push was asked for last. */
  readonly #asked = new Map<string, { inboxSeq: number; atMs: number }>();

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
      if (this.#ports.isSilent(userId, inboxSeq)) continue;
      for (const { slot } of reached) this.#ports.delivered(userId, slot, inboxSeq);
      if (reached.length === 0 && this.#isNew(userId, inboxSeq))
        this.#ports.offline({ userId, inboxSeq, cause: "unreachable" });
    }
  }

  /** Nothing up to this message was asked a push for just now; now it is. */
  #isNew(userId: string, inboxSeq: number): boolean {
    const atMs = this.#ports.clock.nowMs();
    const last = this.#asked.get(userId);
    if (last && last.inboxSeq >= inboxSeq && atMs - last.atMs < TWICE_MS) return false;
    this.#asked.delete(userId);
    this.#asked.set(userId, { inboxSeq, atMs });
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > MAX_USERS && oldest !== undefined) this.#asked.delete(oldest);
    return true;
  }
}
