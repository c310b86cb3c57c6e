// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Command, Flag } from "#proto/commands.ts";
import { Presence } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Router } from "../router/router.ts";
import type { Session } from "../session/session.ts";
import type { ChangeLog, LogPosition } from "./change-log.ts";
import { partedPair } from "./parted.ts";
import { lookAt } from "./peer-look.ts";
import { HIDDEN, isVisibleChange, nextState, type PeerLook, type PeerState, peerPresence } from "./peer-state.ts";
import type { RouterMemory } from "./router-memory.ts";
import { type PeerWatch, type WatchBounds, type WatchedPeer, WatchList, type WatchRequest } from "./watch-list.ts";

/** Changes are told twice in a second at least: gathered for 100 ms, read within 400, and who leaves is looked at twice. */
export const TICK_MS = 400;
/** Everybody who is watched is looked at once in this time: finds what the change log lost. */
const SWEEP_MS = 30_000;
/** Per tick; what is more waits for the next one. */
const MAX_LOOKS = 10_000;
const MAX_FRAMES = 2000;
const MAX_PAGES = 20;
/** Ticks between two looks for subscriptions that ran out or lost their connection. */
const TIDY_TICKS = 10;
/** 20,000 sessions that watch 25 each: some 90 MB. */
export const WATCH_BOUNDS: WatchBounds = { maxPeers: 50_000, maxPairs: 500_000 };

/** What {@link PeerWatcher} needs. */
export interface PeerWatcherPorts {
  log: Pick<ChangeLog, "read">;
  router: Pick<Router, "stored" | "leased">;
  memory: Pick<RouterMemory, "forgotten" | "heldMs">;
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "presenceFrames">;
  /** Default {@link WATCH_BOUNDS}. */
  bounds?: WatchBounds;
}

/**
 * Tells sessions of this process when those they watch come and go. Asks the change log and for the leases of the entries concerned
 * every {@link TICK_MS}, and for a user only when there is a reason. Without a subscription it does nothing at all; while the
 * router is away everybody stays as they were.
 */
export class PeerWatcher {
  readonly #ports: PeerWatcherPorts;
  readonly #list: WatchList;
  /** To be looked at, the oldest reason first. */
  readonly #queue = new Set<WatchedPeer>();
  /** Sessions that were not told everything. */
  readonly #dirty = new Set<PeerWatch>();
  #position: LogPosition = "";
  /** At the last tick nobody might be called offline. */
  #isHeld = false;
  #sweep: Iterator<WatchedPeer> | undefined;
  #tidyIn = TIDY_TICKS;
  #cancel: (() => void) | undefined;
  #isTicking = false;
  #isClosed = false;

  constructor(ports: PeerWatcherPorts) {
    this.#ports = ports;
    this.#list = new WatchList(ports.bounds ?? WATCH_BOUNDS);
  }

  /** Sessions that watch somebody. */
  get sessions(): number {
    return this.#list.watches.size;
  }

  /** Users watched by anybody. */
  get peers(): number {
    return this.#list.peers.size;
  }

  find(session: Session): PeerWatch | undefined {
    return this.#list.watches.get(session);
  }

  /** Watches these users for the session instead of those before. Undefined, and nothing changes, when that is too much. */
  watch(request: WatchRequest): PeerWatch | undefined {
    const watch = this.#list.set(request);
    if (watch) this.#schedule();
    return watch;
  }

  drop(session: Session): void {
    const watch = this.#list.watches.get(session);
    if (watch) this.#dirty.delete(watch);
    this.#list.drop(session);
  }

  /**
   * The first look at a user who is watched. It was taken after {@link watch}, but what changed meanwhile may have been read from the
   * log before: the next tick looks again.
   */
  begin(userId: string, look: PeerLook, lastSeenMs: number): void {
    const peer = this.#list.peers.get(userId);
    if (!peer) return;
    this.#queue.add(peer);
    if (peer.state) return;
    peer.state = { platforms: look.platforms, lastSeenMs, isSuspect: false };
    this.#list.moved(peer, look.incarnations);
  }

  /** Releases the timer. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(): void {
    if (this.#isClosed || this.#isTicking) return;
    this.#cancel ??= this.#ports.clock.after(TICK_MS, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    this.#cancel = undefined;
    this.#isTicking = true;
    this.#tidy();
    try {
      await this.#readLog();
      this.#noteHold();
      await this.#checkLeases();
      this.#sweepOn();
      await this.#look();
    } catch (error) {
      // What was to be looked at still is.
      this.#ports.onFault("presence", error);
    }
    this.#tell();
    this.#isTicking = false;
    if (this.#list.watches.size > 0) this.#schedule();
    else this.#rest();
  }

  /** Nobody watches: the log is read from its end when somebody does again. */
  #rest(): void {
    this.#position = "";
    this.#isHeld = false;
    this.#sweep = undefined;
    this.#queue.clear();
  }

  #tidy(): void {
    if (--this.#tidyIn > 0) return;
    this.#tidyIn = TIDY_TICKS;
    const nowMs = this.#ports.clock.nowMs();
    for (const { session, endsAtMs, isOpen } of [...this.#list.watches.values()])
      if (endsAtMs <= nowMs || !isOpen()) this.drop(session);
  }

  /** Who was missing while the router was told again is looked at when that is over. */
  #noteHold(): void {
    const wasHeld = this.#isHeld;
    this.#isHeld = this.#ports.memory.heldMs > 0;
    if (wasHeld && !this.#isHeld) this.#queueAll();
  }

  #queueAll(): void {
    for (const peer of this.#list.peers.values()) this.#queue.add(peer);
  }

  async #readLog(): Promise<void> {
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const { userIds, position, isGap, hasMore } = await this.#ports.log.read(this.#position);
      this.#position = position;
      if (isGap) this.#ports.memory.forgotten();
      for (const userId of userIds) {
        const pair = partedPair(userId);
        if (pair) this.#part(pair);
        const peer = this.#list.peers.get(userId);
        if (peer) this.#queue.add(peer);
      }
      if (!hasMore) return;
    }
  }

  /** One of them has blocked the other: to each the other one is as if it were never there. */
  #part([one, other]: readonly [string, string]): void {
    for (const { watch, peer } of this.#list.part(one, other)) {
      const { entry, conn } = watch.session;
      const body = Presence.encode({ peers: [peerPresence(peer.userId, HIDDEN)] });
      entry.send({ kind: RecordKind.REPLY, cmd: Command.PRESENCE, flags: Flag.NO_PERSIST, conn, body });
    }
  }

  /** Sessions of an entry that lost its lease are nobody's: it crashed, or was purged. */
  async #checkLeases(): Promise<void> {
    for (const [incarnation, isLive] of await this.#ports.router.leased(this.#list.incarnations))
      if (!isLive) for (const peer of this.#list.heldBy(incarnation)) this.#queue.add(peer);
  }

  #sweepOn(): void {
    const { peers } = this.#list;
    for (let left = Math.ceil((peers.size * TICK_MS) / SWEEP_MS); left > 0; left--) {
      this.#sweep ??= peers.values();
      const next = this.#sweep.next();
      if (next.done) this.#sweep = undefined;
      else this.#queue.add(next.value);
    }
  }

  async #look(): Promise<void> {
    const asked: WatchedPeer[] = [];
    for (const peer of this.#queue) {
      if (asked.length === MAX_LOOKS) break;
      if (peer.state && peer.watches.size > 0) asked.push(peer);
      else this.#queue.delete(peer);
    }
    if (asked.length === 0) return;
    const looks = await lookAt(
      this.#ports.router,
      asked.map(({ userId }) => userId),
    );
    for (const peer of asked) {
      this.#queue.delete(peer);
      const look = looks.get(peer.userId);
      if (look) this.#apply(peer, look);
      else this.#queue.add(peer);
    }
  }

  #apply(peer: WatchedPeer, look: PeerLook): void {
    const before = peer.state;
    if (!before) return;
    const mayLeave = !this.#isHeld;
    const after: PeerState = nextState(before, look, { mayLeave, nowMs: this.#ports.clock.wallMs() });
    peer.state = after;
    this.#list.moved(peer, look.incarnations);
    if (after.isSuspect && mayLeave) this.#queue.add(peer);
    if (!isVisibleChange(before, after)) return;
    for (const watch of peer.watches) {
      watch.changed.add(peer);
      this.#dirty.add(watch);
    }
  }

  #tell(): void {
    const encoded = new Map<WatchedPeer, Uint8Array>();
    const watches = [...this.#dirty.values().take(MAX_FRAMES)];
    for (const watch of watches) {
      this.#dirty.delete(watch);
      if (!watch.isOpen()) this.drop(watch.session);
      else if (watch.changed.size > 0) this.#write(watch, encoded);
    }
  }

  /** When the way to its entry is full it is told later, with what changed further by then. */
  #write(watch: PeerWatch, encoded: Map<WatchedPeer, Uint8Array>): void {
    const { changed, session } = watch;
    const parts = [...changed].map((peer) => {
      const bytes = encoded.get(peer) ?? encode(peer);
      encoded.set(peer, bytes);
      return bytes;
    });
    // A repeated field of messages that were encoded one by one is their bytes one after the other.
    const body = Buffer.concat(parts);
    const { entry, conn } = session;
    const frame = { kind: RecordKind.REPLY, cmd: Command.PRESENCE, flags: Flag.NO_PERSIST, conn, body };
    const isSent = entry.send(frame);
    if (isSent) changed.clear();
    else this.#dirty.add(watch);
    this.#ports.metrics.presenceFrames.inc({ result: isSent ? "sent" : "held" });
  }
}

function encode({ userId, state }: WatchedPeer): Uint8Array {
  return Presence.encode({ peers: state ? [peerPresence(userId, state)] : [] });
}
