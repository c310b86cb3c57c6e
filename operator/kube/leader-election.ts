// SPDX-License-Identifier: Apache-2.0
import { type Clock, systemClock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { KubeClient } from "./client.ts";
import { KubeError } from "./kube-error.ts";
import { microTime } from "./micro-time.ts";
import { LEASES, type Lease } from "./types.ts";

const DEFAULT_LEASE_DURATION_MS = 15_000;
const DEFAULT_RENEW_DEADLINE_MS = 10_000;
const DEFAULT_RETRY_PERIOD_MS = 2_000;
const MAX_CALL_MS = 5_000;

export interface LeaderElectionOptions {
  client: Pick<KubeClient, "get" | "create" | "patchMerge">;
  namespace: string;
  /** Name of the Lease. */
  name: string;
  /** Unique for each process, for example `<pod name>_<uuid>`: an old identity would inherit an old lease. */
  identity: string;
  log: Logger;
  clock?: Clock;
  random?: () => number;
  /** Others take over this long after the last renewal they saw. Whole seconds. Default 15,000 ms. */
  leaseDurationMs?: number;
  /** The leader gives up this long after it sent its last successful renewal. Less than the above. Default 10,000 ms. */
  renewDeadlineMs?: number;
  /** Between attempts. Default 2,000 ms. */
  retryPeriodMs?: number;
  /** Called once, when this candidate leads. */
  onLeading(): void;
  /** Called once, when leadership was lost against our will: stop at once, that is exit the process. */
  onLost(reason: string): void;
  onLeaderChanged?(identity: string): void;
}

type State = "idle" | "standby" | "leading" | "lost" | "closed";

/** What we last read or wrote, and when by our own clock: the wall clocks of others are never compared with ours. */
interface Observed {
  lease: Lease;
  atMs: number;
}

/**
 * One leader among processes that share a Lease. Two never lead at once as long as their monotonic clocks run alike: the
 * leader stops `renewDeadlineMs` after it sent its last successful renewal, and nobody takes over before
 * `leaseDurationMs` have passed since they saw it. A frozen process finds `isLeader` false when it wakes up.
 */
export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #client: LeaderElectionOptions["client"];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  readonly #leaseDurationMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryPeriodMs: number;
  #state: State = "idle";
  #observed: Observed | undefined;
  #leader = "";
  /** When the last successful renewal was sent. */
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #cancelWatchdog: () => void = () => undefined;
  #wake: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log.child({ lease: `${options.namespace}/${options.name}`, identity: options.identity });
    this.#random = options.random ?? Math.random;
    this.#leaseDurationMs = options.leaseDurationMs ?? DEFAULT_LEASE_DURATION_MS;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? DEFAULT_RENEW_DEADLINE_MS;
    this.#retryPeriodMs = options.retryPeriodMs ?? DEFAULT_RETRY_PERIOD_MS;
    if (this.#renewDeadlineMs >= this.#leaseDurationMs)
      throw new RangeError("renewDeadlineMs must be < leaseDurationMs");
    if (this.#retryPeriodMs >= this.#renewDeadlineMs) throw new RangeError("retryPeriodMs must be < renewDeadlineMs");
  }

  /** Asks the clock, so it is right even when this process was frozen past its deadline and no timer ran yet. */
  get isLeader(): boolean {
    return this.#state === "leading" && this.#clock.nowMs() < this.#renewedAtMs + this.#renewDeadlineMs;
  }

  /** Identity of the holder last seen; empty when there is none. */
  get leader(): string {
    return this.#leader;
  }

  start(): void {
    if (this.#state !== "idle") return;
    this.#state = "standby";
    this.#running = this.#run();
  }

  /**
   * Stops; a leader releases the lease, so that another takes over at once. The caller must have stopped all work that
   * needs leadership before. `onLost` is not called.
   */
  async close(): Promise<void> {
    if (this.#state === "closed" || this.#state === "lost") return;
    this.#state = "closed";
    this.#cancelWatchdog();
    this.#wake?.();
    await this.#running;
    // Also when an attempt that was under way got it just now.
    if (this.#state === "closed") await this.#release();
  }

  async #run(): Promise<void> {
    while (this.#isCandidate()) {
      await this.#attempt();
      if (!this.#isCandidate()) return;
      // Standbys spread out, so that they do not all grasp at an expired lease at once.
      const factor = this.#state === "leading" ? 1 : 1 + 0.2 * this.#random();
      await this.#pause(this.#retryPeriodMs * factor);
    }
  }

  async #attempt(): Promise<void> {
    const sentAtMs = this.#clock.nowMs();
    let holds: boolean;
    try {
      holds = this.#state === "leading" ? await this.#renew() : await this.#acquire();
    } catch (err) {
      this.#log.warn({ err, leading: this.#state === "leading" }, "lease not reached");
      return;
    }
    if (!this.#isCandidate()) return;
    if (holds) this.#held(sentAtMs);
    else if (this.#leader !== this.#options.identity)
      this.#lose(`the lease is held by ${JSON.stringify(this.#leader)}`);
  }

  #held(sentAtMs: number): void {
    // The answer may have come after the deadline: then somebody else may lead by now.
    if (this.#clock.nowMs() >= sentAtMs + this.#renewDeadlineMs) {
      if (this.#state === "leading") this.#lose("a renewal took too long");
      return;
    }
    this.#renewedAtMs = sentAtMs;
    this.#cancelWatchdog();
    this.#cancelWatchdog = this.#clock.after(sentAtMs + this.#renewDeadlineMs - this.#clock.nowMs(), () =>
      this.#lose(`not renewed for ${this.#renewDeadlineMs} ms`),
    );
    if (this.#state === "leading") return;
    this.#state = "leading";
    this.#log.info({}, "leading");
    this.#options.onLeading();
  }

  #lose(reason: string): void {
    if (this.#state !== "leading") return;
    this.#state = "lost";
    this.#cancelWatchdog();
    this.#wake?.();
    this.#log.error({ reason }, "leadership lost");
    this.#options.onLost(reason);
  }

  /** False when another holds the lease, or was quicker. */
  async #acquire(): Promise<boolean> {
    const { namespace, name } = this.#options;
    const lease = await this.#client.get(LEASES, namespace, name, { deadlineMs: this.#callMs() });
    if (lease) this.#observe(lease);
    // Someone removed the Lease under a leader that may not know it yet: its time still counts.
    if (this.#isHeldByOther()) return false;
    return lease ? await this.#write(lease) : await this.#create();
  }

  async #renew(): Promise<boolean> {
    const lease = this.#observed?.lease;
    if (lease && (await this.#write(lease))) return true;
    // Our version is old (a renewal whose answer was lost, or somebody edited the Lease), or the Lease is gone.
    return await this.#acquire();
  }

  async #create(): Promise<boolean> {
    const { namespace, name } = this.#options;
    const lease: Lease = { metadata: { namespace, name }, spec: this.#spec(undefined) };
    const made = await this.#client.create(LEASES, lease, { deadlineMs: this.#callMs() });
    if (made === "exists") return false;
    this.#observe(made);
    return true;
  }

  async #write(lease: Lease): Promise<boolean> {
    const { namespace, name } = this.#options;
    const { resourceVersion, uid } = lease.metadata;
    const patch = { metadata: { resourceVersion, uid }, spec: this.#spec(lease) };
    try {
      const written = await this.#client.patchMerge(LEASES, namespace, name, patch, { deadlineMs: this.#callMs() });
      if (written) this.#observe(written);
      return written !== undefined;
    } catch (error) {
      if (error instanceof KubeError && error.isConflict) return false;
      throw error;
    }
  }

  #spec(old: Lease | undefined): Lease["spec"] {
    const now = microTime(this.#clock.wallMs());
    const isOurs = old?.spec.holderIdentity === this.#options.identity;
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.max(1, Math.round(this.#leaseDurationMs / 1000)),
      acquireTime: isOurs ? old.spec.acquireTime : now,
      renewTime: now,
      leaseTransitions: (old?.spec.leaseTransitions ?? 0) + (old && !isOurs ? 1 : 0),
    };
  }

  #observe(lease: Lease): void {
    const seen = this.#observed?.lease.metadata;
    const { uid, resourceVersion } = lease.metadata;
    if (seen?.resourceVersion === resourceVersion && seen?.uid === uid) return;
    this.#observed = { lease, atMs: this.#clock.nowMs() };
    const holder = lease.spec.holderIdentity ?? "";
    if (holder === this.#leader) return;
    this.#leader = holder;
    this.#options.onLeaderChanged?.(holder);
  }

  #isHeldByOther(): boolean {
    if (!this.#observed) return false;
    const { holderIdentity, leaseDurationSeconds } = this.#observed.lease.spec;
    if (!holderIdentity || holderIdentity === this.#options.identity) return false;
    const durationMs = leaseDurationSeconds === undefined ? this.#leaseDurationMs : leaseDurationSeconds * 1000;
    return this.#clock.nowMs() < this.#observed.atMs + durationMs;
  }

  async #release(): Promise<void> {
    const { namespace, name, identity } = this.#options;
    const lease = this.#observed?.lease;
    if (lease?.spec.holderIdentity !== identity) return;
    const { resourceVersion, uid } = lease.metadata;
    const now = microTime(this.#clock.wallMs());
    const spec = { holderIdentity: "", leaseDurationSeconds: 1, renewTime: now, acquireTime: now };
    try {
      const patch = { metadata: { resourceVersion, uid }, spec };
      await this.#client.patchMerge(LEASES, namespace, name, patch, { deadlineMs: MAX_CALL_MS });
      this.#log.info({}, "lease released");
    } catch (err) {
      this.#log.warn({ err }, "lease not released: others wait for its end");
    }
  }

  #isCandidate(): boolean {
    return this.#state === "standby" || this.#state === "leading";
  }

  /** A leader leaves time for another attempt before its deadline. */
  #callMs(): number {
    if (this.#state !== "leading") return MAX_CALL_MS;
    const leftMs = this.#renewedAtMs + this.#renewDeadlineMs - this.#clock.nowMs();
    return Math.max(1, Math.min(MAX_CALL_MS, leftMs / 2));
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(delayMs, () => this.#wake?.());
      this.#wake = () => {
        cancel();
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
