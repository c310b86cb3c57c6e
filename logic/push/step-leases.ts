// SPDX-License-Identifier: Apache-2.0
import { type PushStepRow, type PushStore, type StepLease, stepKey } from "../store/push-store.ts";
import type { StoreClock } from "../store/store-clock.ts";

/** How long the steps of a process wait that died with them in hand: a late push may take 15 s in all, 6 of them before. */
const LEASE_MS = 6000;
/** Longest a run may take: a wait for a place and a call, and one more of each after its own limit. */
const HOLD_MS = 30_000;
/** Rounds per lease, and the part of it that is left when it is renewed: three tries before it ends. */
const ROUNDS = 6;
const RENEW_BELOW = 2 / 3;
/** Of one statement. Who found no room comes next: the others are not due then. */
const MAX_RENEWED = 2000;

/** What {@link StepLeases} needs. */
export interface StepLeasesPorts {
  store: Pick<PushStore, "renewSteps">;
  /** Its wall clock is the store's. */
  clock: StoreClock;
  onFault: (op: string, error: unknown) => void;
  /** Default 6,000. */
  leaseMs?: number;
  /** Default 30,000. */
  holdMs?: number;
}

/** A run's part in a lease. */
export interface HeldStep {
  /** As it was claimed or is to be saved. */
  readonly step: PushStepRow;
  /** Nobody keeps the step for this run any more: somebody else may have it in hand. */
  readonly isLost: boolean;
}

class Hold implements HeldStep {
  readonly step: PushStepRow;
  readonly lease: Lease;
  readonly sinceMs: number;
  isLost = false;
  abort: () => void = () => undefined;

  constructor(step: PushStepRow, lease: Lease, sinceMs: number) {
    this.step = step;
    this.lease = lease;
    this.sinceMs = sinceMs;
  }
}

/** One row in hand. Several runs share it: a message joins the row while the one before is being pushed. */
class Lease {
  readonly step: PushStepRow;
  readonly holds = new Set<Hold>();
  /** See {@link StepLease}. */
  endsMs: number[];
  /** False until the store has said that it is ours: the row that a step was saved into may be in somebody's hand. */
  isSure = false;
  /** False while the statement that writes it may still be on its way. */
  isWritten = false;

  constructor(step: PushStepRow) {
    this.step = step;
    this.endsMs = [step.dueMs];
  }

  hasNewer(than: PushStepRow): boolean {
    return [...this.holds].some(({ step }) => step.lastSeq > than.lastSeq);
  }

  covers({ lastSeq }: PushStepRow): boolean {
    return [...this.holds].some(({ step }) => step.lastSeq >= lastSeq);
  }
}

/**
 * The steps that this process has in hand. Their leases are short, so that those of a dead process are soon taken by
 * another one, and are renewed together, one statement a round, as long as their runs go on. A run that lost its lease
 * is aborted: whoever has the step now pushes it again, by the same collapse key.
 */
export class StepLeases {
  readonly #ports: StepLeasesPorts;
  /** By step; those that are being settled are no longer here. */
  readonly #leases = new Map<string, Lease>();
  #cancelRound: (() => void) | undefined;
  #isInRound = false;

  constructor(ports: StepLeasesPorts) {
    this.#ports = ports;
  }

  get leaseMs(): number {
    return this.#ports.leaseMs ?? LEASE_MS;
  }

  /** Rows in hand. */
  get size(): number {
    return this.#leases.size;
  }

  /** A step that was claimed just now; undefined when a run that goes on already covers it. */
  take(step: PushStepRow): HeldStep | undefined {
    const lease = this.#leaseOf(step);
    lease.endsMs = [step.dueMs];
    lease.isSure = true;
    lease.isWritten = true;
    return lease.covers(step) ? undefined : this.#hold(step, lease);
  }

  /** A step that is to be saved as the answer says, with a lease. Then comes {@link attach} or {@link release}. */
  join(step: PushStepRow): HeldStep {
    const leased = { ...step, leased: true, dueMs: this.#ports.clock.wallMs() + this.leaseMs };
    return this.#hold(leased, this.#leaseOf(leased));
  }

  /** The step is in the store, and its run is this one. */
  attach(held: HeldStep, abort: () => void): void {
    const hold = own(held);
    hold.lease.isWritten = true;
    hold.abort = abort;
    if (hold.isLost) abort();
  }

  /** The run is over. The row is as it was left: when it was not settled, its lease ends. */
  release(held: HeldStep): void {
    const { lease } = own(held);
    lease.holds.delete(own(held));
    if (lease.holds.size === 0) this.#drop(lease);
  }

  /**
   * The lease with which the row is to be settled at once: it is renewed no more. Undefined when a run about newer
   * messages of the same row settles it, or has.
   */
  close(held: HeldStep): StepLease | undefined {
    const hold = own(held);
    const { step, lease } = hold;
    if (hold.isLost) return { step, endsMs: [] };
    if (this.#leases.get(stepKey(step)) !== lease || lease.hasNewer(step)) return undefined;
    this.#drop(lease);
    return { step, endsMs: [...lease.endsMs] };
  }

  #leaseOf(step: PushStepRow): Lease {
    const known = this.#leases.get(stepKey(step));
    if (known) return known;
    const lease = new Lease(step);
    this.#leases.set(stepKey(step), lease);
    this.#arm();
    return lease;
  }

  #hold(step: PushStepRow, lease: Lease): Hold {
    const hold = new Hold(step, lease, this.#ports.clock.nowMs());
    lease.holds.add(hold);
    return hold;
  }

  #drop(lease: Lease): void {
    const key = stepKey(lease.step);
    if (this.#leases.get(key) === lease) this.#leases.delete(key);
    if (this.#leases.size > 0) return;
    this.#cancelRound?.();
    this.#cancelRound = undefined;
  }

  #arm(): void {
    if (this.#cancelRound || this.#isInRound || this.#leases.size === 0) return;
    this.#cancelRound = this.#ports.clock.after(this.leaseMs / ROUNDS, () => {
      this.#cancelRound = undefined;
      this.#isInRound = true;
      void this.#round().finally(() => {
        this.#isInRound = false;
        this.#arm();
      });
    });
  }

  async #round(): Promise<void> {
    const { store, clock, onFault } = this.#ports;
    this.#endLongRuns();
    const due = this.#due();
    if (due.length === 0) return;
    const untilMs = clock.wallMs() + this.leaseMs;
    const leases = due.map(({ step, endsMs }) => ({ step, endsMs: [...endsMs] }));
    // Before it is asked: an answer may be lost, and a row may be settled while it is on its way.
    for (const { endsMs } of due) endsMs.push(untilMs);
    try {
      const renewed = await store.renewSteps({ leases, untilMs });
      for (const [at, lease] of due.entries()) this.#learn(lease, untilMs, renewed[at] === true);
    } catch (error) {
      onFault("push leases", error);
    }
  }

  #learn(lease: Lease, untilMs: number, isRenewed: boolean): void {
    // Settled or claimed anew meanwhile.
    if (this.#leases.get(stepKey(lease.step)) !== lease || lease.endsMs.at(-1) !== untilMs) return;
    if (isRenewed) {
      lease.endsMs = [untilMs];
      lease.isSure = true;
      return;
    }
    const { holds, isSure } = lease;
    this.#drop(lease);
    for (const hold of holds) {
      hold.isLost = true;
      // Into a row that another one has in hand: who has it knows nothing of this message yet.
      if (isSure) hold.abort();
    }
  }

  #due(): Lease[] {
    const soonMs = this.#ports.clock.wallMs() + this.leaseMs * RENEW_BELOW;
    const due: Lease[] = [];
    for (const lease of this.#leases.values()) {
      if (due.length === MAX_RENEWED) break;
      if (lease.isWritten && (lease.endsMs[0] ?? 0) <= soonMs) due.push(lease);
    }
    return due;
  }

  #endLongRuns(): void {
    const { clock, holdMs = HOLD_MS } = this.#ports;
    const beforeMs = clock.nowMs() - holdMs;
    for (const { holds } of [...this.#leases.values()]) {
      for (const hold of holds) {
        if (hold.sinceMs > beforeMs) continue;
        hold.isLost = true;
        hold.abort();
        this.release(hold);
      }
    }
  }
}

function own(held: HeldStep): Hold {
  if (held instanceof Hold) return held;
  throw new TypeError("not a step of these leases");
}
