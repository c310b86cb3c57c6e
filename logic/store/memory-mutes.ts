// SPDX-License-Identifier: Apache-2.0
import { MAX_MUTED, MUTE_KEEP_MS, type Mute, type MutePage, type MuteStore } from "./mutes.ts";

interface Row {
  readonly untilMs: number;
  readonly reason: string;
  readonly version: number;
}

/** {@link MuteStore} in a map: the reference model of PostgreSQL's, and for tests. */
export class MemoryMutes implements MuteStore {
  readonly #wallMs: () => number;
  readonly #rows = new Map<string, Row>();
  #version = 0;

  /** @param wallMs the store's time */
  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  async set(userId: string, forMs: number, reason: string): Promise<boolean> {
    const nowMs = this.#wallMs();
    const version = ++this.#version;
    const isMuted = (this.#rows.get(userId)?.untilMs ?? 0) > nowMs;
    if (forMs > 0) {
      const others = [...this.#rows.values()].filter(({ untilMs }) => untilMs > nowMs).length;
      if (!isMuted && others >= MAX_MUTED) return false;
      this.#rows.set(userId, { untilMs: nowMs + forMs, reason, version });
    } else if (this.#rows.has(userId)) this.#rows.set(userId, { untilMs: 0, reason: "", version });
    return true;
  }

  async find(userId: string): Promise<Mute | undefined> {
    const row = this.#rows.get(userId);
    return row && row.untilMs > this.#wallMs() ? this.#muteOf(userId, row) : undefined;
  }

  async after(version: number, limit: number): Promise<MutePage> {
    const changed = [...this.#rows].filter(([, row]) => row.version > version);
    const page = changed.sort(([, a], [, b]) => a.version - b.version).slice(0, limit);
    const mutes = page.map(([userId, row]) => this.#muteOf(userId, row));
    return { mutes, version: page.at(-1)?.[1].version ?? version, newest: this.#version };
  }

  async prune(limit: number): Promise<number> {
    const oldestMs = this.#wallMs() - MUTE_KEEP_MS;
    const over = [...this.#rows].filter(([, { untilMs }]) => untilMs < oldestMs).slice(0, limit);
    for (const [userId] of over) this.#rows.delete(userId);
    return over.length;
  }

  /** The user is not muted any more, and nothing says that it was. */
  forget(userId: string): void {
    if (this.#rows.delete(userId)) this.#version++;
  }

  #muteOf(userId: string, { untilMs, reason }: Row): Mute {
    return { userId, leftMs: untilMs - this.#wallMs(), untilMs, reason };
  }
}
