// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { type HistoryRecorder, monotonicMs } from "../checker/history.ts";

/** Options of {@link Herald}. */
export interface HeraldOptions {
  /** Of the server API, one per logic. */
  urls: readonly string[];
  /** With `broadcasts:manage`. */
  key: string;
  /** Who may be on a list. */
  users: readonly string[];
  /** Uniform in [0, 1). */
  random: () => number;
  recorder: HistoryRecorder;
}

/** A broadcast that the service has confirmed. */
interface Made {
  id: string;
  broadcastId: string;
  /** Undefined: it is for everybody. */
  listed: Set<string> | undefined;
  isOver: boolean;
}

type Asked = Readonly<Record<string, unknown>>;

const EVERY_MS = 1500;
/** What is asked, of all that may be. */
const CHANCES = { add: 0.2, retract: 0.08 } as const;
const CALL_TIMEOUT_MS = 3000;
const RETRY_MS = 300;
/** A call is asked again until it is answered, or until so long after everything was healed. */
const SETTLE_MS = 30_000;
const HOUR_MS = 3_600_000;
/** Two clocks are read one after the other. */
const READ_MS = 5;
/** How long before its time a broadcast is planned: others come into force meanwhile. */
const MIN_DELAY_MS = 500;
const MAX_DELAY_MS = 5000;
/** What is due is in force within this, and all logics know it. */
const FORCE_MS = 2500;

/** The backend of the shop: it makes broadcasts, adds to them and takes them back, through any logic, and asks again until it is answered. */
export class Herald {
  readonly #options: HeraldOptions;
  readonly #made: Made[] = [];
  readonly #asking = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #giveUpAtMs = Number.POSITIVE_INFINITY;
  #lastDueMs = 0;
  #count = 0;

  constructor(options: HeraldOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), EVERY_MS);
    this.#tick();
  }

  /** Asks for nothing new; resolves when everything is answered, or given up. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#giveUpAtMs = performance.now() + SETTLE_MS;
    await Promise.all(this.#asking);
  }

  /** Resolves when everything that was planned is in force. */
  async allInForce(): Promise<void> {
    const leftMs = Math.max(0, this.#lastDueMs - performance.now()) + FORCE_MS;
    await new Promise((resolve) => setTimeout(resolve, leftMs));
  }

  #tick(): void {
    const dice = this.#options.random();
    const job =
      dice < CHANCES.add ? this.#add() : dice < CHANCES.add + CHANCES.retract ? this.#retract() : this.#make();
    const asking = job.finally(() => this.#asking.delete(asking));
    this.#asking.add(asking);
  }

  async #make(): Promise<void> {
    const { users, random, recorder } = this.#options;
    const id = `broadcast-${this.#count++}`;
    const isListed = random() < 0.4;
    const targets = isListed ? users.filter(() => random() < 0.5) : [...users];
    const delayMs = random() < 0.4 ? MIN_DELAY_MS + Math.floor(random() * (MAX_DELAY_MS - MIN_DELAY_MS)) : 0;
    const lastsMs = random() < 0.2 ? 2000 + Math.floor(random() * 4000) : HOUR_MS;
    const [atMs, nowMs] = [monotonicMs(), Date.now()];
    const window = {
      fromMs: atMs + delayMs - READ_MS,
      ...(lastsMs < HOUR_MS ? { untilMs: atMs + delayMs + lastsMs } : {}),
    };
    this.#lastDueMs = Math.max(this.#lastDueMs, performance.now() + delayMs);
    const event = { op: "broadcast", kind: "invoke", process: "herald", id, targets, ...window } as const;
    recorder.record(event);
    const answer = await this.#ask("/v1/broadcasts", {
      ...{ contentType: "text/plain", content: id, urgent: random() < 0.35 },
      ...(isListed ? { audience: "users", userIds: targets } : { audience: "all" }),
      ...(delayMs > 0 ? { notBeforeMs: nowMs + delayMs } : {}),
      notAfterMs: nowMs + delayMs + lastsMs,
    });
    if (typeof answer?.broadcastId !== "string") return;
    recorder.record({ ...event, isConfirmed: true });
    this.#made.push({
      id,
      broadcastId: answer.broadcastId,
      listed: isListed ? new Set(targets) : undefined,
      isOver: lastsMs < HOUR_MS,
    });
  }

  async #add(): Promise<void> {
    const { users, random, recorder } = this.#options;
    const made = this.#pick(this.#made.filter(({ listed, isOver }) => listed && !isOver));
    const uid = users.filter((one) => !made?.listed?.has(one))[Math.floor(random() * 10)];
    if (!made || uid === undefined) return;
    made.listed?.add(uid);
    const event = { op: "broadcast", kind: "invoke", process: "herald", id: made.id } as const;
    recorder.record({ ...event, others: [uid] });
    const answer = await this.#ask(`/v1/broadcasts/${made.broadcastId}/users`, { userIds: [uid] });
    if (answer) recorder.record({ ...event, targets: [uid], isConfirmed: true });
  }

  async #retract(): Promise<void> {
    const made = this.#pick(this.#made.filter(({ isOver }) => !isOver));
    if (!made) return;
    made.isOver = true;
    const over = { op: "broadcast", kind: "over", process: "herald", id: made.id } as const;
    this.#options.recorder.record(over);
    await this.#ask(`/v1/broadcasts/${made.broadcastId}/retract`, {});
    this.#options.recorder.record(over);
  }

  /** Undefined: it was refused, or nobody answered. Never rejects. */
  async #ask(path: string, body: object): Promise<Asked | undefined> {
    const { urls, key, random } = this.#options;
    const headers = {
      "content-type": "application/json",
      authorization: `Bearer ${key}`,
      "idempotency-key": randomUUID(),
    };
    while (performance.now() < this.#giveUpAtMs) {
      const url = urls[Math.floor(random() * urls.length)] ?? "";
      try {
        const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
        const answer = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body), signal });
        if (answer.status < 300) return (await answer.json()) as Asked;
        if (answer.status < 500 && answer.status !== 409 && answer.status !== 429) return undefined;
      } catch {
        // Nobody is there, or the answer was lost: the same request may be made again.
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    return undefined;
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#options.random() * items.length)];
  }
}
