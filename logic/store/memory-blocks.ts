// SPDX-License-Identifier: Apache-2.0
import { type BlockChange, type BlockList, type BlockResult, type BlockStore, MAX_BLOCKED } from "./blocks.ts";

/** {@link BlockStore} in maps. */
export class MemoryBlocks implements BlockStore {
  readonly #lists = new Map<string, { version: number; blocked: Set<string> }>();

  async change({ userId, block, unblock }: BlockChange): Promise<BlockResult> {
    const list = this.#lists.get(userId) ?? { version: 0, blocked: new Set<string>() };
    const added = block.filter(({ peerId }) => !list.blocked.has(peerId));
    const gone = unblock.filter(({ peerId }) => list.blocked.has(peerId));
    if (added.length + gone.length === 0) return { kind: "unchanged", version: list.version };
    if (added.length > 0 && list.blocked.size + added.length - gone.length > MAX_BLOCKED)
      return { kind: "full", version: list.version };
    for (const { peerId } of added) list.blocked.add(peerId);
    for (const { peerId } of gone) list.blocked.delete(peerId);
    list.version++;
    this.#lists.set(userId, list);
    return { kind: "changed", version: list.version };
  }

  async list(userId: string): Promise<BlockList> {
    const { version = 0, blocked = [] } = this.#lists.get(userId) ?? {};
    return { version, userIds: [...blocked].sort() };
  }

  async blockersAmong(userId: string, others: readonly string[]): Promise<string[]> {
    return others.filter((other) => this.has(other, userId));
  }

  /** Nobody is blocked by the user, or blocks it. */
  forget(userId: string): void {
    for (const [owner, list] of this.#lists) {
      const isChanged = owner === userId ? list.blocked.size > 0 : list.blocked.has(userId);
      if (owner === userId) list.blocked.clear();
      else list.blocked.delete(userId);
      if (isChanged) list.version++;
    }
  }

  has(userId: string, blockedId: string): boolean {
    return this.#lists.get(userId)?.blocked.has(blockedId) ?? false;
  }

  /** Has one of them blocked the other? */
  isBetween([one, other]: readonly [string, string]): boolean {
    return this.has(one, other) || this.has(other, one);
  }
}
