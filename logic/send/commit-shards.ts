// SPDX-License-Identifier: Apache-2.0
import type { ImError } from "#lib/errors.ts";
import { GroupCommit, type GroupCommitOptions } from "../store/group-commit.ts";
import type { AppendInput, AppendResult, Store } from "../store/store.ts";

/** Power of two. Two transactions at a time keep PostgreSQL busy while the other one waits for the disk. */
const SHARDS = 2;

/**
 * Group commits side by side, one writer each, by conversation: messages of one conversation keep the order in which
 * they came, and two transactions rarely wait for each other's row locks.
 */
export class CommitShards {
  readonly #shards: readonly GroupCommit[];

  constructor(store: Pick<Store, "append">, options: Omit<GroupCommitOptions, "connections">) {
    this.#shards = Array.from({ length: SHARDS }, () => new GroupCommit(store, { ...options, connections: 1 }));
  }

  /** Messages taken and not answered yet. */
  get unanswered(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.pending + shard.inFlight, 0);
  }

  /** See {@link GroupCommit.submit}. */
  submit(input: AppendInput, done: (result: AppendResult | ImError) => void): boolean {
    const { conversationId } = input;
    const shard = this.#shards[conversationId.charCodeAt(conversationId.length - 1) % SHARDS];
    return shard?.submit(input, done) ?? false;
  }

  /** Finishes what was taken, within `graceMs`. */
  async close(graceMs: number): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.close(graceMs)));
  }
}
