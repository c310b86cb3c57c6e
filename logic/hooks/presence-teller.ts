// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { RouterMemory } from "../presence/router-memory.ts";
import { Rounds } from "../rounds.ts";
import type { Router } from "../router/router.ts";
import type { HookStore } from "../store/hooks.ts";

/** Who comes and goes within this is not told of: a change of networks, a switch between entries. */
const DEBOUNCE_MS = 5000;
const EVERY_MS = 1000;
/** Users in one look. */
const MAX_LOOKS = 500;
/** Users that wait; one more is found by the look at everybody. */
const MAX_WAITING = 50_000;
/** Whoever is believed online is looked at again after this: an entry that died says no goodbyes. */
const CHECK_OLDER_MS = 60_000;
const MAX_CHECKS = 1000;

/** What {@link PresenceTeller} needs. */
export interface PresenceTellerPorts {
  store: Pick<HookStore, "tellPresence" | "onlineToCheck">;
  router: Pick<Router, "stored" | "leased">;
  memory: Pick<RouterMemory, "heldMs" | "requireWhole">;
  /** Does a hook want it now? */
  isWanted: () => boolean;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  /** Default 5,000. */
  debounceMs?: number;
}

/**
 * Tells webhooks who came and who went: some seconds after a session did, by what the router has then, compared with what was told
 * before. Every logic tells of the sessions that it sees, and all of them share the look at those who may be gone unseen.
 */
export class PresenceTeller {
  readonly #ports: PresenceTellerPorts;
  /** By user: when to look. In the order of that. */
  readonly #waiting = new Map<string, number>();
  readonly #rounds: Rounds;

  constructor(ports: PresenceTellerPorts) {
    this.#ports = ports;
    const { clock, random, onFault } = ports;
    const round = async (): Promise<void> =>
      await this.round().catch((error: unknown) => onFault("presence for webhooks", error));
    this.#rounds = new Rounds({ everyMs: EVERY_MS, round, clock, random });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves when the round under way, if any, is over. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** A session of the user came or went. */
  note(userId: string): void {
    const { isWanted, clock, debounceMs = DEBOUNCE_MS } = this.#ports;
    if (!isWanted() || this.#waiting.has(userId) || this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.set(userId, clock.nowMs() + debounceMs);
  }

  /** Changes of routes that note whose they were; without an answer they may have been made. */
  noting(changes: Pick<Router, "login" | "logout">): Pick<Router, "login" | "logout"> {
    const noteAll = (sessions: readonly { readonly userId: string }[]): void => {
      for (const { userId } of sessions) this.note(userId);
    };
    return {
      login: (routes) => changes.login(routes).finally(() => noteAll(routes)),
      logout: (sessions) => changes.logout(sessions).finally(() => noteAll(sessions)),
    };
  }

  /** Looks at who is due. @throws {ImError} RETRYABLE while the router or the store is away: they are looked at later */
  async round(): Promise<void> {
    const { store, memory, isWanted } = this.#ports;
    if (!isWanted()) {
      this.#waiting.clear();
      return;
    }
    // A router that lost its memory calls everybody offline.
    if (memory.heldMs > 0) return;
    const due = this.#takeDue();
    try {
      await this.#look(due);
    } catch (error) {
      for (const userId of due) this.note(userId);
      throw error;
    }
    await this.#look(await store.onlineToCheck({ olderThanMs: CHECK_OLDER_MS, limit: MAX_CHECKS }));
  }

  async #look(userIds: readonly string[]): Promise<void> {
    if (userIds.length === 0) return;
    const { store, router, memory } = this.#ports;
    const routes = await router.stored(userIds);
    const incarnations = new Set([...routes.values()].flatMap((some) => some.map(({ incarnation }) => incarnation)));
    const leased = await router.leased([...incarnations]);
    const looks: { userId: string; isOnline: boolean }[] = [];
    for (const [userId, some] of routes) {
      const leases = some.map(({ incarnation }) => leased.get(incarnation));
      if (leases.includes(true)) looks.push({ userId, isOnline: true });
      // Of a lease that nobody knows of nothing is said.
      else if (!leases.includes(undefined)) looks.push({ userId, isOnline: false });
    }
    if (looks.some(({ isOnline }) => !isOnline)) await memory.requireWhole();
    await store.tellPresence(looks);
  }

  #takeDue(): string[] {
    const nowMs = this.#ports.clock.nowMs();
    const due: string[] = [];
    for (const [userId, atMs] of this.#waiting) {
      if (atMs > nowMs || due.length === MAX_LOOKS) break;
      due.push(userId);
    }
    for (const userId of due) this.#waiting.delete(userId);
    return due;
  }
}
