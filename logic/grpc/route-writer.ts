// SPDX-License-Identifier: Apache-2.0
import { RecordKind } from "#proto/uplink/record.ts";
import type { Route, Router, SessionKey } from "../router/router.ts";
import { type Kicker, kickReplaced } from "../session/kick.ts";
import { routeOf, staleLogin } from "../session/login.ts";
import { disconnectBody, type Session } from "../session/session.ts";
import type { Store } from "../store/store.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";

const MAX_BATCH = 500;
/** The sessions of a full entry at once, several times over. */
const MAX_WAITING = 100_000;

interface Announcement {
  session: Session;
  /** Is the connection still there? */
  isOpen: () => boolean;
  onFenced: () => void;
  /** An earlier write of this route was not answered: it may have replaced a session, and nobody knows which. */
  isUnsure?: boolean;
}

/** A closed connection whose user nobody knows any more. */
interface Forgotten {
  incarnation: string;
  forgotten: number;
}

type Change = Announcement | SessionKey | Forgotten;

/** An announced session whose slot a newer login holds. */
interface Loser {
  session: Session;
  holder: Route;
}

const nameKey = ({ userId, deviceId }: { userId: string; deviceId: string }): string => `${userId}\0${deviceId}`;

/** What {@link RouteWriter} needs. */
export interface RouteWriterPorts {
  router: Pick<Router, "login" | "logout" | "forget">;
  kicks: Kicker;
  store: Pick<Store, "devicesOf">;
  onStoreFault: (op: string, error: unknown) => void;
  onRouterFault: (op: string, error: unknown) => void;
  /**
   * More announcements failed than are kept, or a session lost its slot to a write whose answer was lost: when all
   * entries announce theirs, it is found and kicked.
   */
  onUncertain: () => void;
  /** A route is stored of which an earlier write was not answered. */
  onRouted?: (userId: string) => void;
  defer: Defer;
}

/**
 * Route changes outside the login: announcements (BIND) and closed connections, batched per tick and applied in the
 * order they came, so a late announcement cannot bring back the route of a closed connection.
 */
export class RouteWriter {
  readonly #ports: RouteWriterPorts;
  readonly #batch: TickBatch<Change>;
  #missed: Announcement[] = [];
  #missedForgets: Forgotten[] = [];
  #missedRemovals: SessionKey[] = [];

  constructor(ports: RouteWriterPorts) {
    this.#ports = ports;
    this.#batch = new TickBatch({
      defer: ports.defer,
      run: (batch) => this.#run(batch),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
    });
  }

  get isIdle(): boolean {
    return this.#batch.isIdle;
  }

  /** Makes sure the session's route is stored; one that lost its slot meanwhile is kicked. */
  announce(session: Session, watch: Omit<Announcement, "session">): void {
    if (!this.#batch.add({ session, ...watch })) this.#ports.onUncertain();
  }

  /** The router answers: announces and removes what failed while it did not. */
  retryMissed(): void {
    const missed = this.#missed;
    this.#missed = [];
    for (const { session, ...watch } of missed) this.announce(session, watch);
    const removals = this.#missedRemovals;
    this.#missedRemovals = [];
    const forgets = this.#missedForgets;
    this.#missedForgets = [];
    for (const change of [...removals, ...forgets]) this.#batch.add(change);
  }

  /** The connection is gone: its route too, if it is still its own. */
  remove({ userId, entry, conn }: Session): void {
    const isTaken = this.#batch.add({ userId, incarnation: entry.incarnation, conn });
    if (!isTaken) this.#ports.onRouterFault("logout", new Error("queue is full"));
  }

  /** The connection is gone, and the logic that knew whose it was: its route too, if there is one. */
  forget(incarnation: string, conn: number): void {
    const isTaken = this.#batch.add({ incarnation, forgotten: conn });
    if (!isTaken) this.#ports.onRouterFault("forget", new Error("queue is full"));
  }

  async #run(batch: readonly Change[]): Promise<void> {
    const announcements = batch.filter((change): change is Announcement => "session" in change);
    const announced = announcements.filter(({ isOpen }) => isOpen());
    // Closed by now: whom it replaced is still not known.
    if (announcements.some(({ isUnsure, isOpen }) => isUnsure && !isOpen())) this.#ports.onUncertain();
    const removed = batch.filter((change): change is SessionKey => "conn" in change);
    const forgotten = batch.filter((change): change is Forgotten => "forgotten" in change);
    try {
      await this.#announce(announced);
    } catch (error) {
      this.#ports.onRouterFault("announce", error);
      this.#miss(announced);
    }
    try {
      await this.#ports.router.logout(removed);
    } catch (error) {
      this.#ports.onRouterFault("logout", error);
      // Otherwise the user would count as online until the next message finds nobody. Beyond the bound it is so.
      const room = MAX_WAITING - this.#missedRemovals.length;
      this.#missedRemovals.push(...removed.slice(0, room));
    }
    try {
      for (const [incarnation, conns] of Map.groupBy(forgotten, (change) => change.incarnation))
        await this.#ports.router.forget(incarnation, new Set(conns.map(({ forgotten: conn }) => conn)));
    } catch (error) {
      this.#ports.onRouterFault("forget", error);
      this.#missedForgets.push(...forgotten.slice(0, MAX_WAITING - this.#missedForgets.length));
    }
  }

  async #announce(announced: readonly Announcement[]): Promise<void> {
    if (announced.length === 0) return;
    const outcomes = await this.#ports.router.login(announced.map(({ session }) => routeOf(session)));
    const losers: Loser[] = [];
    let isUncertain = false;
    announced.forEach((announcement, at) => {
      const { session, onFenced } = announcement;
      const outcome = outcomes[at];
      if (announcement.isUnsure && outcome?.kind === "ok") this.#ports.onRouted?.(session.userId);
      if (outcome?.kind === "unknown") {
        this.#ports.onRouterFault("announce", outcome.cause);
        this.#miss([announcement]);
      } else if (outcome?.kind === "fenced") {
        onFenced();
        if (outcome.replaced) kickReplaced(this.#ports.kicks, session, outcome.replaced);
      } else if (outcome?.kind === "stale") losers.push({ session, holder: outcome.holder });
      else if (outcome?.replaced) kickReplaced(this.#ports.kicks, session, outcome.replaced);
      else if (announcement.isUnsure) isUncertain = true;
    });
    if (isUncertain) this.#ports.onUncertain();
    if (losers.length > 0) await this.#kickLosers(losers);
  }

  /** Tells sessions that lost their slot to leave, and to which device if the store knows its name. */
  async #kickLosers(losers: readonly Loser[]): Promise<void> {
    const names = await this.#namesOf(losers);
    for (const { session, holder } of losers) {
      const { code, reason } = staleLogin(session, holder);
      const body = disconnectBody(code, reason, { byDevice: names.get(nameKey(holder)) ?? "" });
      session.entry.send({ kind: RecordKind.KICK, conn: session.conn, body });
    }
  }

  async #namesOf(losers: readonly Loser[]): Promise<Map<string, string>> {
    try {
      const devices = await this.#ports.store.devicesOf([...new Set(losers.map(({ holder }) => holder.userId))]);
      return new Map(devices.map((device) => [nameKey(device), device.deviceName]));
    } catch (error) {
      this.#ports.onStoreFault("device names", error);
      return new Map();
    }
  }

  #miss(announced: readonly Announcement[]): void {
    if (this.#missed.length + announced.length > MAX_WAITING) this.#ports.onUncertain();
    else this.#missed.push(...announced.map((announcement) => ({ ...announcement, isUnsure: true })));
  }
}
