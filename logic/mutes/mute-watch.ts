// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { type BeforeSend, PASS, type Passage } from "../send/before-send.ts";
import type { Mute, MuteStore } from "../store/mutes.ts";
import type { AppendInput } from "../store/store.ts";

const POLL_MS = 1000;
const PAGE = 500;
/** Bounds one round: what is left comes with the next. */
const MAX_PAGES = 400;
/** The wire has 32 bits for it. */
const MAX_WAIT_MS = 2 ** 31 - 1;
const POLLS_PER_PRUNE = 3600;
/** Name of the guard: what a refused sender is told as the rule. */
export const MUTED_RULE = "muted";

/** What {@link MuteWatch} needs. */
export interface MuteWatchPorts {
  store: Pick<MuteStore, "after" | "prune">;
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
}

interface Muted {
  /** Monotonic. */
  readonly endsMs: number;
  readonly reason: string;
}

/**
 * Knows who may not write for a while, and bounces what they send. Changes are read by version once a second, so a mute is in force
 * everywhere within 2 s; to ask costs a look into a map. While the store is away, what is known counts.
 */
export class MuteWatch implements BeforeSend {
  readonly name = MUTED_RULE;
  readonly budgetMs = 0;
  readonly late: Passage = PASS;
  readonly #ports: MuteWatchPorts;
  readonly #muted = new Map<string, Muted>();
  #version = 0;
  #polls = 0;
  #polling: Promise<void> | undefined;
  #cancel: () => void = () => undefined;
  #isStopped = true;

  constructor(ports: MuteWatchPorts) {
    this.#ports = ports;
  }

  /** Users who are known to be muted, or were until lately. */
  get size(): number {
    return this.#muted.size;
  }

  /** Reads who is muted, and from then on what changes. */
  async start(): Promise<void> {
    this.#isStopped = false;
    await this.poll();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  /** How long the user may not write, ms; 0 = it may. */
  leftMs(userId: string): number {
    const muted = this.#muted.get(userId);
    return muted ? Math.max(0, muted.endsMs - this.#ports.clock.nowMs()) : 0;
  }

  judge({ sender }: Pick<AppendInput, "sender">): Passage {
    // Nearly always there is nobody, or somebody else.
    if (this.#muted.size === 0) return PASS;
    const retryAfterMs = this.leftMs(sender);
    if (retryAfterMs === 0) return PASS;
    const reason = this.#muted.get(sender)?.reason ?? "";
    const explanation = reason === "" ? "you may not write for a while" : reason;
    return {
      verdict: "bounce",
      by: MUTED_RULE,
      explanation,
      retryAfterMs: Math.min(MAX_WAIT_MS, Math.ceil(retryAfterMs)),
    };
  }

  /** What changed since the last time. Never rejects; a second caller waits for a round of its own. */
  async poll(): Promise<void> {
    while (this.#polling) await this.#polling;
    this.#polling = this.#round().finally(() => {
      this.#polling = undefined;
    });
    await this.#polling;
  }

  async #round(): Promise<void> {
    const { store, clock, onFault } = this.#ports;
    this.#cancel();
    try {
      for (let pages = 0; pages < MAX_PAGES; pages++) {
        const askedMs = clock.nowMs();
        const { mutes, version, newest } = await store.after(this.#version, PAGE);
        if (newest < this.#version) {
          // The database is an older one now: everything it knows is new.
          this.#version = 0;
          this.#muted.clear();
          continue;
        }
        for (const mute of mutes) this.#apply(mute, askedMs);
        this.#version = version;
        if (mutes.length < PAGE) break;
      }
      if (this.#polls++ % POLLS_PER_PRUNE === POLLS_PER_PRUNE - 1) await this.#sweep();
    } catch (error) {
      onFault("mutes", error);
    }
    if (!this.#isStopped) this.#cancel = clock.after(POLL_MS, () => void this.poll());
  }

  #apply({ userId, leftMs, reason }: Mute, askedMs: number): void {
    if (leftMs > 0) this.#muted.set(userId, { endsMs: askedMs + leftMs, reason });
    else this.#muted.delete(userId);
  }

  async #sweep(): Promise<void> {
    for (const userId of this.#muted.keys()) if (this.leftMs(userId) === 0) this.#muted.delete(userId);
    await this.#ports.store.prune(PAGE);
  }
}
