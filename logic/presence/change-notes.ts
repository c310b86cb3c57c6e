// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Router } from "../router/router.ts";
import { type ChangeLog, MAX_APPEND_USERS } from "./change-log.ts";

/** Changes are gathered for so long: what a login costs more is a place in a set. */
const GATHER_MS = 100;
const RETRY_MS = 1000;
/** Users that wait while the log is away; one more is not told of, and found by looking at everybody. */
const MAX_WAITING = 50_000;

/** What {@link ChangeNotes} needs. */
export interface ChangeNotesPorts {
  log: Pick<ChangeLog, "append">;
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
}

/** Writes whose sessions came or went to the change log, ten times a second at most. */
export class ChangeNotes {
  readonly #ports: ChangeNotesPorts;
  readonly #waiting = new Set<string>();
  #cancel: (() => void) | undefined;
  #isWriting = false;
  #isClosed = false;

  constructor(ports: ChangeNotesPorts) {
    this.#ports = ports;
  }

  /** A session of the user came or went just now. */
  note(userId: string): void {
    if (this.#waiting.size >= MAX_WAITING || this.#isClosed) return;
    this.#waiting.add(userId);
    this.#schedule(GATHER_MS);
  }

  /** Changes of routes that note whose they were; where there is no answer they may have been made. */
  noting(changes: Pick<Router, "login" | "logout">): Pick<Router, "login" | "logout"> {
    return {
      login: (routes) => this.#noted(routes, changes.login(routes), ({ kind }) => kind === "ok" || kind === "unknown"),
      logout: (sessions) => this.#noted(sessions, changes.logout(sessions), (isDeleted) => isDeleted),
    };
  }

  async #noted<T>(
    sessions: readonly { readonly userId: string }[],
    outcomes: Promise<T[]>,
    isChange: (outcome: T) => boolean,
  ): Promise<T[]> {
    let known: T[] | undefined;
    try {
      known = await outcomes;
      return known;
    } finally {
      sessions.forEach(({ userId }, at) => {
        const outcome = known?.[at];
        if (outcome === undefined || isChange(outcome)) this.note(userId);
      });
    }
  }

  /** Forgets what was not written and releases the timer. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting.clear();
  }

  #schedule(delayMs: number): void {
    if (this.#isWriting || this.#isClosed) return;
    this.#cancel ??= this.#ports.clock.after(delayMs, () => void this.#write());
  }

  async #write(): Promise<void> {
    this.#cancel = undefined;
    this.#isWriting = true;
    const userIds = [...this.#waiting].slice(0, MAX_APPEND_USERS);
    for (const userId of userIds) this.#waiting.delete(userId);
    let delayMs = GATHER_MS;
    try {
      await this.#ports.log.append(userIds);
    } catch (error) {
      this.#ports.onFault("presence notes", error);
      for (const userId of userIds) if (this.#waiting.size < MAX_WAITING) this.#waiting.add(userId);
      delayMs = RETRY_MS;
    }
    this.#isWriting = false;
    if (this.#waiting.size > 0) this.#schedule(delayMs);
  }
}
