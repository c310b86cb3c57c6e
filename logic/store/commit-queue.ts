// SPDX-License-Identifier: Apache-2.0
import type { ImError } from "#lib/errors.ts";
import { tenantOf } from "#lib/tenant.ts";
import { FairLanes, type MayGo } from "../fair-lanes.ts";
import type { AppendInput, AppendResult } from "./store.ts";

/** Runs once per accepted message; must not throw. `epoch`: the inbox epoch that a result is of, "" when nobody asked for one. */
export type AppendDone = (result: AppendResult | ImError, epoch: string) => void;

/** A message that waits for its transaction. */
export interface Pending {
  input: AppendInput;
  done: AppendDone;
  sinceMs: number;
}

/** Bounds of one batch. */
export interface BatchLimits {
  maxBatch: number;
  maxBatchBytes: number;
  nowMs: number;
  /** What waits since before this is too late for a batch. */
  oldestMs: number;
}

/** Who has so many waiting while several tenants write gets transactions of its own, which are not long. */
const BULK = 16;
const BULK_BATCH = 128;

/**
 * Messages in the order they came, tenants in turn. While several tenants write, one that has many waiting gets batches of its own, one at a
 * time: however much it sends, it holds one connection, and nobody waits for a transaction that is long because of it. A batch never holds a message of a conversation that another running batch holds:
 * such messages step aside, and come first when that batch ends. So several transactions at a time keep the order of
 * every conversation.
 */
export class CommitQueue {
  readonly #lanes: FairLanes<Pending>;
  readonly #maxBytes: number;
  /** Tenants of running batches of their own, by the first message of each. */
  readonly #bulky = new Map<Pending, string>();
  /** Per conversation in a running batch: its messages that came up meanwhile. */
  readonly #aside = new Map<string, Pending[] | undefined>();
  #asideCount = 0;
  #bytes = 0;

  constructor(limits: { maxItems: number; maxBytes: number }) {
    this.#maxBytes = limits.maxBytes;
    this.#lanes = new FairLanes(limits.maxItems);
  }

  /** Everything that waits. */
  get length(): number {
    return this.#lanes.length + this.#asideCount;
  }

  /** Several tenants came lately. */
  isContended(nowMs: number): boolean {
    return this.#lanes.isContended(nowMs);
  }

  /** The one that is next; undefined when nothing can go now. */
  next(nowMs: number): Pending | undefined {
    return this.#lanes.next(this.#mayGo(nowMs));
  }

  /** False, and nothing changed, when a limit would be exceeded. */
  push(pending: Pending): boolean {
    const { content, sender } = pending.input;
    if (this.#bytes + content.length > this.#maxBytes) return false;
    if (!this.#lanes.push(tenantOf(sender), pending, pending.sinceMs, this.#asideCount)) return false;
    this.#bytes += content.length;
    return true;
  }

  /**
   * The next batch, at least one message if any can go; its conversations are taken until {@link release}.
   * @param late gets those that waited too long
   */
  take({ maxBatch, maxBatchBytes, nowMs, oldestMs }: BatchLimits, late: Pending[]): Pending[] {
    const batch: Pending[] = [];
    const { mayGo, bulky } = this.#kindOf(nowMs);
    const most = bulky === undefined ? maxBatch : Math.min(maxBatch, BULK_BATCH);
    let bytes = 0;
    for (let next = this.#lanes.next(mayGo); next && batch.length < most; next = this.#lanes.next(mayGo)) {
      const { conversationId, content } = next.input;
      if (next.sinceMs < oldestMs) {
        late.push(next);
        this.#bytes -= content.length;
      } else if (this.#aside.has(conversationId)) {
        this.#setAside(conversationId, next);
      } else {
        if (batch.length > 0 && bytes + content.length > maxBatchBytes) break;
        bytes += content.length;
        batch.push(next);
      }
      this.#lanes.shift(mayGo);
    }
    for (const { input } of batch) this.#aside.set(input.conversationId, undefined);
    if (bulky !== undefined && batch[0]) this.#bulky.set(batch[0], bulky);
    this.#bytes -= bytes;
    return batch;
  }

  /** The batch's transaction ended. */
  release(batch: readonly Pending[]): void {
    const back: Pending[] = [];
    for (const { input } of batch) {
      const aside = this.#aside.get(input.conversationId);
      if (aside) back.push(...aside);
      this.#aside.delete(input.conversationId);
    }
    if (batch[0]) this.#bulky.delete(batch[0]);
    if (back.length === 0) return;
    this.#asideCount -= back.length;
    const byTenant = Map.groupBy(back, ({ input }) => tenantOf(input.sender));
    for (const [tenant, own] of byTenant) this.#lanes.putBack(tenant, own);
  }

  /** Takes out everything that can go, whatever the limits. */
  drain(): Pending[] {
    const rest: Pending[] = [];
    for (let next = this.#lanes.shift(); next; next = this.#lanes.shift()) rest.push(next);
    for (const [conversationId, aside] of this.#aside) {
      if (aside) rest.push(...aside);
      this.#aside.set(conversationId, undefined);
    }
    this.#asideCount = 0;
    this.#bytes = 0;
    return rest;
  }

  /** Which tenants may have messages in a batch now; undefined: all. */
  #mayGo(nowMs: number): MayGo | undefined {
    if (!this.isContended(nowMs)) return undefined;
    const running = new Set(this.#bulky.values());
    return (tenant) => !running.has(tenant);
  }

  /** What the next batch is: of one tenant with many waiting, or of all that have few. */
  #kindOf(nowMs: number): { mayGo: MayGo | undefined; bulky?: string } {
    const mayGo = this.#mayGo(nowMs);
    const tenant = mayGo && this.#lanes.nextTenant(mayGo);
    if (!mayGo || tenant === undefined) return { mayGo };
    if (this.#lanes.waitingOf(tenant) >= BULK) return { mayGo: (other) => other === tenant, bulky: tenant };
    return { mayGo: (other, waiting) => mayGo(other, waiting) && waiting < BULK };
  }

  #setAside(conversationId: string, pending: Pending): void {
    const aside = this.#aside.get(conversationId);
    if (aside) aside.push(pending);
    else this.#aside.set(conversationId, [pending]);
    this.#asideCount++;
  }
}
