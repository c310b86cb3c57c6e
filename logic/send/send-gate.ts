// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { AppendInput } from "../store/store.ts";
import { type BeforeSend, isRefusal, PASS, type Passage, stronger } from "./before-send.ts";

/** Messages that wait for a guard, or behind one that does. */
const MAX_WAITING = 5000;

/** What {@link SendGate} needs. */
export interface SendGatePorts {
  guards: readonly BeforeSend[];
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "policyVerdicts">;
  /** Default 5000. */
  maxWaiting?: number;
}

interface Waiting {
  passage: Passage | undefined;
  readonly pass: (passage: Passage) => void;
}

/**
 * Asks the guards about each message. As long as they answer at once, so does the gate; a message that has to wait holds up those of
 * its sender only, so that they stay in their order, and for no longer than the guards' budgets.
 */
export class SendGate {
  readonly #ports: SendGatePorts;
  readonly #maxWaiting: number;
  /** By sender, in order; the first one has no passage yet. */
  readonly #queues = new Map<string, Waiting[]>();
  #waiting = 0;

  constructor(ports: SendGatePorts) {
    this.#ports = ports;
    this.#maxWaiting = ports.maxWaiting ?? MAX_WAITING;
  }

  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  /** `pass` runs once, now or later. False: too many wait, and it never runs. */
  enter(message: AppendInput, pass: (passage: Passage) => void): boolean {
    if (this.#ports.guards.length === 0) {
      pass(PASS);
      return true;
    }
    if (this.#waiting >= this.#maxWaiting) return false;
    const judged = this.#ask(message, 0, PASS);
    const queue = this.#queues.get(message.sender);
    if (!queue && !(judged instanceof Promise)) {
      this.#open({ passage: judged, pass }, judged);
      return true;
    }
    const waiting: Waiting = { passage: judged instanceof Promise ? undefined : judged, pass };
    this.#waiting++;
    if (queue) queue.push(waiting);
    else this.#queues.set(message.sender, [waiting]);
    if (judged instanceof Promise)
      void judged.then((passage) => {
        waiting.passage = passage;
        this.#flush(message.sender);
      });
    return true;
  }

  /** Every one from this one on. The promise does not reject. */
  #ask(message: AppendInput, from: number, before: Passage): Passage | Promise<Passage> {
    const guard = this.#ports.guards[from];
    if (!guard || isRefusal(before)) return before;
    const judged = guard.judge(message);
    const next = (passage: Passage) => this.#ask(message, from + 1, stronger(before, passage));
    return judged instanceof Promise ? this.#within(guard, judged).then(next) : next(judged);
  }

  #within({ name, budgetMs, late }: BeforeSend, judged: Promise<Passage>): Promise<Passage> {
    const { clock, onFault } = this.#ports;
    return new Promise((resolve) => {
      const cancel = clock.after(budgetMs, () => resolve(late));
      judged.then(
        (passage) => {
          cancel();
          resolve(passage);
        },
        (error: unknown) => {
          cancel();
          onFault(`guard ${name}`, error);
          resolve(late);
        },
      );
    });
  }

  #flush(sender: string): void {
    const queue = this.#queues.get(sender) ?? [];
    for (let first = queue[0]; first?.passage; first = queue[0]) {
      queue.shift();
      this.#waiting--;
      this.#open(first, first.passage);
    }
    if (queue.length === 0) this.#queues.delete(sender);
  }

  #open({ pass }: Waiting, passage: Passage): void {
    const { verdict, by } = passage;
    if (verdict !== "allow") this.#ports.metrics.policyVerdicts.inc({ verdict, rule: by });
    pass(passage);
  }
}
