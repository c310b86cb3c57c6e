// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Clock, FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { LeaderElection } from "./leader-election.ts";
import { type LeaseAccess, LeaseStore, settle } from "./testing/lease-store.ts";

const STEP_MS = 200;

/** A process that can be frozen: its timers and the answers to its calls wait, the clock goes on. */
class Process implements Clock {
  readonly access: LeaseAccess;
  readonly election: LeaderElection;
  isFrozen = false;
  isEnded = false;
  readonly #clock: FakeClock;
  #held: (() => void)[] = [];

  constructor(store: LeaseStore, clock: FakeClock, identity: string) {
    this.#clock = clock;
    this.access = store.access();
    const { access } = this;
    this.election = new LeaderElection({
      client: {
        get: (...args) => this.#arrive(access.get(...args)),
        create: (...args) => this.#arrive(access.create(...args)),
        patchMerge: (...args) => this.#arrive(access.patchMerge(...args)),
      },
      namespace: "ns",
      name: "operator",
      identity,
      clock: this,
      log: silentLogger,
      onLeading: () => undefined,
      onLost: () => {
        this.isEnded = true;
      },
    });
    this.election.start();
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  after(delayMs: number, fn: () => void): () => void {
    let isCancelled = false;
    const cancel = this.#clock.after(delayMs, () => this.#run(() => isCancelled || fn()));
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  thaw(): void {
    this.isFrozen = false;
    for (const fn of this.#held.splice(0)) fn();
  }

  #run(fn: () => void): void {
    if (this.isFrozen) this.#held.push(fn);
    else fn();
  }

  #arrive<R>(call: Promise<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      call.then(
        (value) => this.#run(() => resolve(value)),
        (error: unknown) => this.#run(() => reject(error)),
      );
    });
  }
}

const action = fc.record(
  {
    who: fc.nat({ max: 2 }),
    what: fc.constantFrom("cut", "heal", "freeze", "thaw", "loseAnswer", "slow", "quick", "crash", "stop", "nothing"),
    thenMs: fc.integer({ min: 100, max: 12_000 }),
  },
  { noNullPrototype: true },
);

/** Three replicas; one that ended comes back under a new identity, as a restarted pod does. */
class Fleet {
  readonly clock = new FakeClock();
  readonly store = new LeaseStore(this.clock);
  readonly stopping: Promise<void>[] = [];
  #started = 0;
  readonly processes: Process[] = [0, 1, 2].map(() => this.#start());

  #start(): Process {
    return new Process(this.store, this.clock, `process-${this.#started++}`);
  }

  do(what: string, who: number): void {
    const process = this.processes[who];
    if (!process) return;
    if (what === "cut" || what === "heal") process.access.isCutOff = what === "cut";
    else if (what === "freeze") process.isFrozen = true;
    else if (what === "thaw") process.thaw();
    else if (what === "loseAnswer") process.access.losesAnswers = 1;
    else if (what === "slow" || what === "quick") process.access.latencyMs = what === "slow" ? 1_700 : 0;
    else if (what === "stop" && !process.isFrozen) this.#stop(process);
    else if (what === "crash") this.#crash(process);
  }

  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.clock.advance(STEP_MS);
      await settle();
      this.processes.forEach((process, index) => {
        if (process.isEnded) this.processes[index] = this.#start();
      });
      const leaders = this.processes.filter((process) => process.election.isLeader);
      assert.ok(leaders.length <= 1, `${leaders.length} leaders at ${this.clock.nowMs()} ms`);
    }
  }

  get leaders(): number {
    return this.processes.filter((process) => process.election.isLeader).length;
  }

  #stop(process: Process): void {
    process.isEnded = true;
    this.stopping.push(process.election.close());
  }

  /** It never runs again, without closing anything. */
  #crash(process: Process): void {
    process.isFrozen = true;
    process.isEnded = true;
  }
}

test("no two lead at once, and when faults are over one leads", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 25, size: "max" }), async (actions) => {
      const fleet = new Fleet();
      for (const { who, what, thenMs } of actions) {
        fleet.do(what, who);
        await fleet.advance(thenMs);
      }
      for (const who of [0, 1, 2]) for (const what of ["heal", "thaw", "quick"]) fleet.do(what, who);
      await fleet.advance(40_000);
      assert.equal(fleet.leaders, 1);
    }),
    { numRuns: 60 },
  );
});
