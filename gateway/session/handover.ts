// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { tagBytes } from "./binding.ts";
import type { LogicDirectory, LogicPort } from "./uplink-port.ts";

/** Closed connections whose logic is remembered; beyond, the oldest are forgotten. */
const MAX_CLOSED = 16_384;
/** Logouts no logic has confirmed; beyond, the oldest are forgotten. */
const MAX_LOGOUTS = 32_768;
/** A logic that was cut off may finish a login after we gave it up: told once more when that is over. */
const TELL_AGAIN_MS = 30_000;

interface PendingLogout {
  readonly tag: string;
  logic: LogicPort | undefined;
}

/**
 * What a logic was told last and may take with it when it dies: ends of connections, and logouts. Another logic is told
 * again, so that no route of a closed connection stays, and no push token of a device that signed out.
 */
export class Handover {
  readonly #logics: LogicDirectory;
  /** Connections that closed lately, or while a LOGIN of theirs was out, and the logic that was told. */
  readonly #closed = new Map<number, LogicPort>();
  /** Of those, the ones whose logic is gone and nobody else was told. */
  readonly #orphans = new Set<number>();
  /** To be told once more. */
  #again: number[] = [];
  readonly #logouts = new Map<number, PendingLogout>();
  readonly #clock: Clock;
  #cancel: (() => void) | undefined;

  constructor(logics: LogicDirectory, clock: Clock) {
    this.#logics = logics;
    this.#clock = clock;
  }

  /** Logouts that no logic has confirmed. */
  get logouts(): number {
    return this.#logouts.size;
  }

  /** The connection is closed, and `logic` knows it or still has its LOGIN in hand. */
  closed(conn: number, logic: LogicPort): void {
    dropOldest(this.#closed, MAX_CLOSED);
    this.#closed.set(conn, logic);
  }

  /** The person signed out on this connection's device. */
  logout(conn: number, tag: string): void {
    dropOldest(this.#logouts, MAX_LOGOUTS);
    const logout: PendingLogout = { tag, logic: undefined };
    this.#logouts.set(conn, logout);
    this.#tellLogout(conn, logout);
  }

  logoutDone(conn: number): void {
    this.#logouts.delete(conn);
  }

  /** A logic is gone: tells another one what it was told, now or when one attaches. */
  lost(logic: LogicPort): void {
    for (const [conn, told] of this.#closed) {
      if (told !== logic) continue;
      this.#closed.delete(conn);
      this.#orphan(conn);
      if (this.#again.length < MAX_CLOSED) this.#again.push(conn);
    }
    if (this.#again.length > 0) this.#cancel ??= this.#clock.after(TELL_AGAIN_MS, () => this.#tellAgain());
    for (const logout of this.#logouts.values()) if (logout.logic === logic) logout.logic = undefined;
    this.retell();
  }

  /** Tells what nobody else was told, if a logic is there. */
  retell(): void {
    const logic = this.#orphans.size > 0 ? this.#logics.choose() : undefined;
    if (logic) {
      for (const conn of this.#orphans) {
        logic.sendControl({ kind: RecordKind.LOGIN_ABORTED, conn });
        this.closed(conn, logic);
      }
      this.#orphans.clear();
    }
    for (const [conn, logout] of this.#logouts) if (!logout.logic) this.#tellLogout(conn, logout);
  }

  /** Releases the timer. */
  close(): void {
    this.#cancel?.();
  }

  #orphan(conn: number): void {
    dropOldest(this.#orphans, MAX_CLOSED);
    this.#orphans.add(conn);
  }

  #tellAgain(): void {
    this.#cancel = undefined;
    for (const conn of this.#again) this.#orphan(conn);
    this.#again = [];
    this.retell();
  }

  #tellLogout(conn: number, logout: PendingLogout): void {
    logout.logic = this.#logics.choose();
    logout.logic?.sendControl({ kind: RecordKind.LOGOUT, conn, body: tagBytes(logout.tag) });
  }
}

function dropOldest(kept: Map<number, unknown> | Set<number>, max: number): void {
  const oldest = kept.keys().next();
  if (kept.size >= max && !oldest.done) kept.delete(oldest.value);
}
