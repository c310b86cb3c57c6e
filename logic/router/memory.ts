// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type {
  Generation,
  Inspection,
  PurgeCount,
  Renewal,
  RenewalRequest,
  Route,
  Router,
  RouterLogin,
  SessionKey,
} from "./router.ts";

/** Reference model of {@link Router}: what Redis must do, in a few maps. Used by unit tests and simulations. */
export class MemoryRouter implements Router {
  readonly #routes = new Map<string, Map<string, Route>>();
  readonly #leaseEndsMs = new Map<string, number>();
  readonly #tombs = new Set<string>();
  readonly #clock: Clock;
  readonly #leaseTtlMs: number;
  #generation = 1;
  #isGenerationNew = true;
  /** Set to make every call fail like an unreachable Redis. */
  isDown = false;

  constructor(clock: Clock, leaseTtlMs = 15_000) {
    this.#clock = clock;
    this.#leaseTtlMs = leaseTtlMs;
  }

  async login(routes: readonly Route[]): Promise<RouterLogin[]> {
    this.#requireUp();
    const fenced = new Set(routes.map(({ incarnation }) => incarnation).filter((one) => this.#tombs.has(one)));
    return routes.map((route) => this.#loginOne(route, fenced));
  }

  async logout(sessions: readonly SessionKey[]): Promise<boolean[]> {
    this.#requireUp();
    return sessions.map((session) => {
      const held = [...this.#of(session.userId).values()].filter(
        (route) => route.incarnation === session.incarnation && route.conn === session.conn,
      );
      for (const route of held) this.#of(session.userId).delete(route.slot);
      return held.length > 0;
    });
  }

  async lookup(userIds: readonly string[]): Promise<Map<string, Route[]>> {
    this.#requireUp();
    const found = new Map<string, Route[]>();
    for (const userId of userIds) {
      const live = [...this.#of(userId).values()].filter((route) => this.#isLive(route.incarnation));
      if (live.length > 0) found.set(userId, live);
    }
    return found;
  }

  async stored(userIds: readonly string[]): Promise<Map<string, readonly Route[]>> {
    this.#requireUp();
    return new Map(userIds.map((userId) => [userId, [...this.#of(userId).values()]]));
  }

  async leased(incarnations: readonly string[]): Promise<Map<string, boolean>> {
    this.#requireUp();
    return new Map(incarnations.map((incarnation) => [incarnation, this.#isLive(incarnation)]));
  }

  async renewLease(incarnation: string, { ageMs = 0, isWanted }: RenewalRequest = {}): Promise<Renewal> {
    this.#requireUp();
    if (isWanted?.() === false) return "late";
    if (this.#tombs.has(incarnation)) return "fenced";
    const endsMs = this.#clock.nowMs() + this.#leaseTtlMs - ageMs;
    this.#leaseEndsMs.set(incarnation, Math.max(endsMs, this.#leaseEndsMs.get(incarnation) ?? 0));
    return ageMs < this.#leaseTtlMs ? "ok" : "late";
  }

  async fence(incarnation: string): Promise<void> {
    this.#requireUp();
    this.#tombs.add(incarnation);
    this.#leaseEndsMs.delete(incarnation);
  }

  async purge(incarnation: string): Promise<PurgeCount> {
    this.#requireUp();
    let deleted = 0;
    for (const slots of this.#routes.values())
      for (const route of slots.values()) if (route.incarnation === incarnation && slots.delete(route.slot)) deleted++;
    return { deleted, remaining: 0 };
  }

  async inspect(incarnations: readonly string[]): Promise<Inspection[]> {
    this.#requireUp();
    const all = [...this.#routes.values()].flatMap((slots) => [...slots.values()]);
    return incarnations.map((one) => ({
      routes: all.filter(({ incarnation }) => incarnation === one).length,
      isLeased: this.#isLive(one),
    }));
  }

  async forget(incarnation: string, conns: ReadonlySet<number>): Promise<number> {
    this.#requireUp();
    let deleted = 0;
    for (const slots of this.#routes.values())
      for (const route of [...slots.values()])
        if (route.incarnation === incarnation && conns.has(route.conn) && slots.delete(route.slot)) deleted++;
    return deleted;
  }

  async generation(): Promise<Generation> {
    this.#requireUp();
    const isNew = this.#isGenerationNew;
    this.#isGenerationNew = false;
    return { id: String(this.#generation), isNew };
  }

  /** FLUSHALL: everything is forgotten, tombstones too. */
  flush(): void {
    this.#routes.clear();
    this.#leaseEndsMs.clear();
    this.#tombs.clear();
    this.#generation++;
    this.#isGenerationNew = true;
  }

  #loginOne(route: Route, fenced: ReadonlySet<string>): RouterLogin {
    const slots = this.#of(route.userId);
    const old = slots.get(route.slot);
    if (fenced.has(route.incarnation)) {
      // A refused login leaves no route of its connection behind, nor a fenced one that it would have replaced.
      if (old && fenced.has(old.incarnation) && old.loginSeq < route.loginSeq) slots.delete(route.slot);
      for (const [slot, held] of slots)
        if (held.incarnation === route.incarnation && held.conn === route.conn) slots.delete(slot);
      return { kind: "fenced" };
    }
    const isSame = old?.incarnation === route.incarnation && old.conn === route.conn;
    if (old && !isSame && old.loginSeq >= route.loginSeq) return { kind: "stale", holder: old };
    slots.set(route.slot, route);
    return old && !isSame ? { kind: "ok", replaced: old } : { kind: "ok" };
  }

  #of(userId: string): Map<string, Route> {
    const slots = this.#routes.get(userId) ?? new Map<string, Route>();
    this.#routes.set(userId, slots);
    return slots;
  }

  #isLive(incarnation: string): boolean {
    return (this.#leaseEndsMs.get(incarnation) ?? 0) > this.#clock.nowMs();
  }

  #requireUp(): void {
    if (this.isDown) throw new ImError(ErrorCode.RETRYABLE, "the router is down (test)");
  }
}
