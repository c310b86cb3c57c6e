// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { tenantOf } from "#lib/tenant.ts";
import type { BroadcastHeads, BroadcastStore, OpenBroadcasts, OpenPart } from "../store/broadcast-store.ts";
import { StoreClock } from "../store/store-clock.ts";

/** What is due comes into force within this, and what another logic did is known. */
const LOOK_MS = 1000;
/** Never more often than this, whatever is due. */
const MIN_LOOK_MS = 20;

/** Something else is in force in a tenant. */
export interface BoardNews {
  readonly tenant: string;
  readonly head: number;
  readonly epoch: string;
  /** Came into force since the last look, by activation seq; empty at the first look of this process. */
  readonly fresh: readonly OpenPart[];
}

/** What {@link BroadcastBoard} needs. */
export interface BoardPorts {
  store: Pick<BroadcastStore, "activate" | "open">;
  clock: Clock;
  onNews: (news: BoardNews) => void;
  onFault: (op: string, error: unknown) => void;
}

/**
 * What is in force, in memory: a login costs no SQL to learn that nothing is new. Looks once a second, and when something is due; whichever
 * logic looks first puts it into force.
 */
export class BroadcastBoard {
  readonly #ports: BoardPorts;
  readonly #clock: StoreClock;
  readonly #tenants = new Map<string, OpenBroadcasts>();
  #epoch = "";
  #hasLooked = false;
  #isStopped = true;
  #looking: Promise<void> | undefined;
  #mustLook = false;
  #cancel: () => void = () => undefined;

  constructor(ports: BoardPorts) {
    this.#ports = ports;
    this.#clock = new StoreClock(ports.clock);
  }

  /** Inbox epoch that the seqs are of; "" before the first look. */
  get epoch(): string {
    return this.#epoch;
  }

  /** The store's time. */
  get nowMs(): number {
    return this.#clock.wallMs();
  }

  /** Every tenant that has broadcasts, and its newest activation seq. */
  *heads(): Generator<{ tenant: string; head: number }, void> {
    for (const [tenant, { head }] of this.#tenants) yield { tenant, head };
  }

  /** Newest activation seq for a user; 0: there is none. */
  headOf(userId: string): number {
    return this.#tenants.get(tenantOf(userId))?.head ?? 0;
  }

  /** What is in force behind a position, by activation seq, and where the newest one is: of one moment. */
  after(tenant: string, position: number): { head: number; parts: readonly OpenPart[] } {
    const open = this.#tenants.get(tenant);
    if (!open || open.head <= position) return { head: open?.head ?? 0, parts: [] };
    return { head: open.head, parts: open.parts.slice(firstAfter(open.parts, position)) };
  }

  /** Resolves after the first look; that one may fail. */
  async start(): Promise<void> {
    this.#isStopped = false;
    await this.look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  /** Looks now: somebody has just changed something. Never rejects. */
  look(): Promise<void> {
    this.#mustLook = true;
    this.#looking ??= this.#lookOn();
    return this.#looking;
  }

  async #lookOn(): Promise<void> {
    this.#cancel();
    let dueInMs = LOOK_MS;
    while (this.#mustLook) {
      this.#mustLook = false;
      dueInMs = await this.#look();
    }
    this.#looking = undefined;
    if (!this.#isStopped) this.#cancel = this.#ports.clock.after(dueInMs, () => void this.look());
  }

  /** When to look again. */
  async #look(): Promise<number> {
    const { store, clock, onFault } = this.#ports;
    const askedMs = clock.nowMs();
    try {
      const found = await store.activate();
      this.#clock.follow(found.nowMs, askedMs);
      await this.#take(found);
      this.#hasLooked = true;
      const dueInMs = found.nextDueMs === undefined ? LOOK_MS : found.nextDueMs - this.nowMs;
      return Math.min(LOOK_MS, Math.max(MIN_LOOK_MS, dueInMs));
    } catch (error) {
      onFault("broadcasts", error);
      return LOOK_MS;
    }
  }

  async #take({ epoch, heads }: BroadcastHeads): Promise<void> {
    const isOther = epoch !== this.#epoch;
    for (const { tenant, version } of heads) {
      const known = this.#tenants.get(tenant);
      if (known?.version === version && !isOther) continue;
      const open = await this.#ports.store.open(tenant);
      this.#tenants.set(tenant, open);
      // Of an epoch that was restored, nobody here knows what is new.
      const from = this.#hasLooked && !isOther ? (known?.head ?? 0) : open.head;
      const fresh = open.parts.slice(firstAfter(open.parts, from));
      this.#epoch = epoch;
      this.#ports.onNews({ tenant, head: open.head, epoch, fresh });
    }
    this.#epoch = epoch;
  }
}

/** Index of the first part behind a position. */
function firstAfter(parts: readonly OpenPart[], position: number): number {
  let [from, to] = [0, parts.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((parts[middle]?.activationSeq ?? 0) > position) to = middle;
    else from = middle + 1;
  }
  return from;
}
