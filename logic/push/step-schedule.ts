// SPDX-License-Identifier: Apache-2.0
import { Backoff } from "#lib/backoff.ts";
import type { Logger } from "#lib/logger.ts";
import { Gathered } from "../gathered.ts";
import { type PushStepRow, type PushStore, type SettledStep, stepKey } from "../store/push-store.ts";
import type { StoreClock } from "../store/store-clock.ts";
import type { Defer } from "../tick-batch.ts";
import type { PushMetrics } from "./metrics.ts";
import type { PushPolicy } from "./policy.ts";
import { eventKey, type Recipients } from "./recipients.ts";
import { type HeldStep, StepLeases } from "./step-leases.ts";
import type { RunEnd, StepRunner, StepSubject } from "./step-runner.ts";

const POLL_MS = 500;
const CLAIM = 100;
/** Steps in hand; beyond it nothing more is claimed. */
const MAX_IN_HAND = 1000;
const FINISH_BATCH = 200;
const MAX_WAITING = 20_000;

/** An intent that nobody could push, for the dead letters. */
export interface PushLetter {
  readonly userId: string;
  readonly inboxSeq: number;
  readonly reason: string;
}

/** Of a step whose message or user is no longer there. */
const GONE: RunEnd = { result: "read", rows: [], letter: undefined };
/** Of a step whose conversation the user muted after it was taken up. */
const MUTED: RunEnd = { result: "muted", rows: [], letter: undefined };

/** What {@link StepSchedule} needs. */
export interface StepSchedulePorts {
  store: Pick<PushStore, "saveSteps" | "claimSteps" | "renewSteps" | "settleSteps" | "stepBacklog">;
  runner: StepRunner;
  recipients: Recipients;
  policy: PushPolicy;
  /** Keeps what was given up. May reject: then it is tried again. */
  bury: (letters: readonly PushLetter[]) => Promise<void>;
  /** Set by every look at the store. */
  clock: StoreClock;
  random: () => number;
  defer: Defer;
  metrics: PushMetrics;
  log: Logger;
  onFault: (op: string, error: unknown) => void;
  /** How often waiting steps are looked for. Default 500. */
  pollMs?: number;
  /** Of steps in hand. Default 6,000. */
  leaseMs?: number;
}

/** A step that is being run. */
export interface StepRun {
  /** Rejects with {@link ImError} when the store is away in the middle. */
  readonly end: Promise<RunEnd>;
  readonly abort: () => void;
}

interface Finish {
  held: HeldStep;
  end: RunEnd;
}

/**
 * Takes the steps that wait in the database when their time has come: delays of the escalation, quiet hours, retries.
 * Any replica takes any step; one that dies with steps in hand renews their leases no more, and another one takes them.
 */
export class StepSchedule {
  readonly ports: StepSchedulePorts;
  readonly #abort = new AbortController();
  readonly #finish: Gathered<Finish, undefined>;
  readonly #leases: StepLeases;
  readonly #runs = new Set<AbortController>();
  readonly #inHand = new Set<Promise<unknown>>();
  #running: Promise<void> | undefined;
  /** As last seen. */
  backlog = { waiting: 0, overdueMs: 0 };

  constructor(ports: StepSchedulePorts) {
    this.ports = ports;
    const limits = { defer: ports.defer, maxBatch: FINISH_BATCH, maxWaiting: MAX_WAITING };
    this.#leases = new StepLeases(ports);
    this.#finish = new Gathered({ ...limits, run: (finishes) => this.#finishAll(finishes) });
  }

  get inHand(): number {
    return this.#inHand.size;
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  /** Stops calls to providers; what was in hand is due again at once, for whoever comes next. */
  async stop(): Promise<void> {
    this.#abort.abort();
    for (const run of this.#runs) run.abort();
    await this.#running;
    await Promise.all(this.#inHand);
  }

  /** Due times are in the store's time: looks at it when nobody has yet. @throws {ImError} when the store is away */
  async knowTime(): Promise<void> {
    if (!this.ports.clock.isSet) await this.#look();
  }

  run(step: PushStepRow, known: Omit<StepSubject, "signal">): StepRun {
    const run = new AbortController();
    if (this.#abort.signal.aborted) run.abort();
    this.#runs.add(run);
    const end = this.ports.runner.run(step, { ...known, signal: run.signal }).finally(() => this.#runs.delete(run));
    return { end, abort: () => run.abort() };
  }

  /** Takes a running step in hand: it is to be saved as it is in the answer, and then adopted or let go. */
  hold(step: PushStepRow): HeldStep {
    return this.#leases.join(step);
  }

  /** It could not be saved. */
  letGo(held: HeldStep): void {
    this.#leases.release(held);
  }

  /** @throws {ImError} when the store is away */
  async keep(rows: readonly PushStepRow[]): Promise<void> {
    if (rows.length > 0) await this.ports.store.saveSteps(rows);
  }

  /** Ends a kept step when its run is over. */
  adopt(held: HeldStep, { end, abort }: StepRun): void {
    this.#leases.attach(held, abort);
    const work = end
      .then((known) => this.#finish.call({ held, end: known }))
      // The lease ends, and somebody runs it again.
      .catch((error: unknown) => this.ports.onFault("push step", error))
      .finally(() => {
        this.#leases.release(held);
        this.#inHand.delete(work);
      });
    this.#inHand.add(work);
  }

  async #loop(): Promise<void> {
    const { random, metrics, log, pollMs = POLL_MS } = this.ports;
    const backoff = new Backoff({ baseMs: 500, capMs: 5000, random });
    while (!this.#abort.signal.aborted) {
      try {
        const isMore = await this.#round();
        backoff.reset();
        // Replicas drift apart, so that they do not all ask at the same time.
        if (!isMore) await this.#sleep(pollMs * (0.75 + random() * 0.5));
      } catch (error) {
        metrics.faults.inc();
        log.warn({ err: error }, "push schedule: waiting for SQL");
        await this.#sleep(backoff.next());
      }
    }
  }

  /** True when there may be more to do at once. */
  async #round(): Promise<boolean> {
    const { store, clock } = this.ports;
    const room = Math.min(CLAIM, MAX_IN_HAND - this.#inHand.size);
    if (room <= 0) return false;
    const askedMs = clock.nowMs();
    const { nowMs, steps } = await store.claimSteps({ leaseMs: this.#leases.leaseMs, limit: room });
    clock.follow(nowMs, askedMs);
    if (steps.length === 0) {
      await this.#look();
      return false;
    }
    const taken = steps.flatMap((step) => this.#leases.take(step) ?? []);
    try {
      await this.#runAll(taken);
    } catch (error) {
      // Their leases end, and somebody takes them again.
      for (const held of taken) this.#leases.release(held);
      throw error;
    }
    return steps.length === room;
  }

  async #runAll(taken: readonly HeldStep[]): Promise<void> {
    const { clock, recipients } = this.ports;
    const readAtMs = clock.nowMs();
    const users = await recipients.read(taken.map(({ step }) => step.userId));
    const newest = taken.map(({ step: { userId, lastSeq } }) => ({ userId, inboxSeq: lastSeq }));
    const events = await recipients.events(newest);
    for (const held of taken) {
      const { step } = held;
      const found = events.get(eventKey({ userId: step.userId, inboxSeq: step.lastSeq }));
      const recipient = users.get(step.userId);
      if (!found || !recipient || found.isMuted)
        this.adopt(held, { end: Promise.resolve(found?.isMuted ? MUTED : GONE), abort: () => undefined });
      else this.adopt(held, this.run(step, { recipient, readAtMs, found }));
    }
  }

  async #look(): Promise<void> {
    const { store, clock } = this.ports;
    const askedMs = clock.nowMs();
    const { nowMs, ...backlog } = await store.stepBacklog();
    clock.follow(nowMs, askedMs);
    this.backlog = backlog;
  }

  async #finishAll(finishes: readonly Finish[]): Promise<undefined[]> {
    const { store, bury, metrics } = this.ports;
    const letters: PushLetter[] = [];
    const others: PushStepRow[] = [];
    const ended: { held: HeldStep; again: PushStepRow | undefined }[] = [];
    for (const { held, end } of finishes) {
      const { step } = held;
      if (held.isLost && end.result !== "accepted" && end.result !== "read") {
        // Whoever has it in hand by now comes to an end of their own.
        metrics.steps.inc({ channel: step.channel, result: "lost" });
        continue;
      }
      metrics.steps.inc({ channel: step.channel, result: end.result });
      if (end.letter !== undefined) {
        letters.push({ userId: step.userId, inboxSeq: step.lastSeq, reason: end.letter });
      }
      const again = end.rows.find((row) => stepKey(row) === stepKey(step));
      others.push(...end.rows.filter((row) => row !== again));
      ended.push({ held, again });
    }
    // In this order: a fault in between repeats something, and loses nothing.
    if (letters.length > 0) await bury(letters);
    await this.keep(others);
    await store.settleSteps(this.#settled(ended));
    return finishes.map(() => undefined);
  }

  /** Each row once: what was lost comes last, the row may be in our hand again. */
  #settled(ended: readonly { held: HeldStep; again: PushStepRow | undefined }[]): SettledStep[] {
    const settled = new Map<string, SettledStep>();
    for (const { held, again } of [...ended].sort((a, b) => Number(a.held.isLost) - Number(b.held.isLost))) {
      const lease = this.#leases.close(held);
      const key = stepKey(held.step);
      if (lease && !settled.has(key)) settled.set(key, { ...lease, again });
    }
    return [...settled.values()];
  }

  #sleep(delayMs: number): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.ports.clock.after(delayMs, done);
      signal.addEventListener("abort", done);
    });
  }
}
