// SPDX-License-Identifier: Apache-2.0
import { sleep } from "#lib/sleep.ts";
import type { PushLedger } from "../store/push-ledger.ts";
import { type AttemptPorts, attemptIntents, countAttempt } from "./attempt.ts";
import type { PushConsumerOptions } from "./consumer.ts";
import { writeDeadLetters } from "./dead-letters.ts";
import type { QueuedIntent } from "./intent.ts";

/** With the age below, a push that nobody else made comes 13 s after the message at the latest. */
const PERIOD_MS = 4000;
/** The first look waits so long, at most, for the queue to be worked off. */
const HEAD_START_MS = 5000;
/** Appends looked at in one statement. */
const FIND_LIMIT = 200;
const CLAIM_LIMIT = 100;
/** Statements of one kind in one pass; what is left waits for the next pass, in which others may help. */
const MAX_STATEMENTS = 50;
/** A debt in hand is nobody else's for so long; its push must be over before. */
const HOLD_MS = 30_000;
const MAX_TRIES = 5;

/** Options of {@link Reconciler}. */
export interface ReconcilerOptions extends Omit<PushConsumerOptions, "store" | "consumer" | "pollMs" | "claimIdleMs"> {
  store: AttemptPorts["store"] & { pushes: PushLedger };
  /** Age of a message at which somebody must have acknowledged or pushed it. */
  olderThanMs: number;
  /** Platform class of which a device must have acknowledged; default: any. */
  readByClass?: string;
}

/**
 * Finds in the store who was neither reached nor pushed to, and pushes directly: this path needs no Redis. Whatever was
 * lost on the fast way (an intent, the wheel, a logic between commit and hand-over) ends here some seconds later. Replicas
 * share the work.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /**
   * After an outage both ways know of the same messages: those in the queue are pushed by it, so that nobody is pushed to
   * twice, and the first look comes when `caughtUp` resolves, or after 5 s.
   */
  start(caughtUp: Promise<unknown> = Promise.resolve()): void {
    this.#running ??= this.#loop(caughtUp);
  }

  /** Aborts calls to the provider and waits for the loop to end; debts in hand become free after their hold. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #loop(caughtUp: Promise<unknown>): Promise<void> {
    const { clock, random, metrics, log } = this.#options;
    const { signal } = this.#abort;
    const isCaughtUp = new AbortController();
    void caughtUp.then(() => isCaughtUp.abort());
    await sleep(clock, HEAD_START_MS, AbortSignal.any([signal, isCaughtUp.signal]));
    while (!signal.aborted) {
      try {
        await this.pass();
      } catch (error) {
        if (signal.aborted) return;
        metrics.faults.inc();
        log.warn({ err: error }, "push reconciler: trying again in a few seconds");
      }
      await sleep(clock, PERIOD_MS * (0.75 + random() * 0.5), signal);
    }
  }

  /** Looks once at what is due. @throws {ImError} when SQL is away, or Redis when something must be given up */
  async pass(): Promise<void> {
    const { store, olderThanMs, readByClass = "", metrics } = this.#options;
    for (let round = 0; round < MAX_STATEMENTS && !this.#abort.signal.aborted; round++) {
      const { appends, owed } = await store.pushes.findUnpushed({ olderThanMs, limit: FIND_LIMIT, readByClass });
      metrics.reconciledAppends.inc(appends);
      metrics.owed.inc(owed);
      if (appends < FIND_LIMIT) break;
    }
    for (let round = 0; round < MAX_STATEMENTS && !this.#abort.signal.aborted; round++) {
      const debts = await store.pushes.claimOwed({ holdMs: HOLD_MS, limit: CLAIM_LIMIT });
      await this.#giveUp(debts.filter(({ tries }) => tries > MAX_TRIES));
      await this.#push(debts.filter(({ tries }) => tries <= MAX_TRIES));
      if (debts.length < CLAIM_LIMIT) break;
    }
  }

  async #push(debts: readonly { userId: string; inboxSeq: number }[]): Promise<void> {
    if (debts.length === 0) return;
    const intents = debts.map(
      ({ userId, inboxSeq }): QueuedIntent => ({ id: userId, userId, inboxSeq, cause: "reconciled" }),
    );
    const late = new AbortController();
    const cancel = this.#options.clock.after(HOLD_MS * 0.8, () => late.abort());
    const signal = AbortSignal.any([late.signal, this.#abort.signal]);
    const outcomes = await attemptIntents({ ...this.#options, signal }, intents).finally(cancel);
    const rejected = intents.filter(({ id }) => outcomes.get(id)?.kind === "rejected");
    await this.#bury(rejected, "rejected");
    for (const intent of intents) countAttempt(this.#options, intent, outcomes.get(intent.id));
  }

  async #giveUp(debts: readonly { userId: string; inboxSeq: number }[]): Promise<void> {
    if (debts.length === 0) return;
    await this.#bury(debts, "exhausted");
    await this.#options.store.pushes.recordPushes(debts);
  }

  async #bury(debts: readonly { userId: string; inboxSeq: number }[], reason: string): Promise<void> {
    if (debts.length === 0) return;
    const letters = debts.map(({ userId, inboxSeq }) => ["u", userId, "s", inboxSeq, "c", "reconciled"]);
    await writeDeadLetters(this.#options.redis, letters, reason);
    this.#options.metrics.deadLetters.inc({ reason }, debts.length);
    this.#options.log.warn({ reason, count: debts.length }, "late pushes given up");
  }
}
