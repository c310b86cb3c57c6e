// SPDX-License-Identifier: Apache-2.0
import type { Session } from "../session/session.ts";
import type { PeerState } from "./peer-state.ts";

/** A user whom somebody watches. */
export interface WatchedPeer {
  readonly userId: string;
  /** Undefined until the first look. */
  state: PeerState | undefined;
  /** Entries that hold its sessions. */
  incarnations: readonly string[];
  readonly watches: Set<PeerWatch>;
}

/** The subscription of one session. */
export interface PeerWatch {
  readonly session: Session;
  /** Is its connection still there, with this session? */
  readonly isOpen: () => boolean;
  /** By user id. */
  peers: Map<string, WatchedPeer>;
  /** Monotonic ms. */
  endsAtMs: number;
  /** When it was looked up whom it may see, monotonic ms. */
  checkedAtMs: number;
  /** What it was not told yet. */
  readonly changed: Set<WatchedPeer>;
}

/** What a subscription says. */
export interface WatchRequest {
  readonly session: Session;
  readonly isOpen: () => boolean;
  /** Distinct. */
  readonly userIds: readonly string[];
  readonly endsAtMs: number;
  readonly checkedAtMs: number;
}

/** Bounds of a {@link WatchList}. */
export interface WatchBounds {
  /** Users watched by anybody. */
  readonly maxPeers: number;
  /** (session, user) pairs: some 180 bytes each. */
  readonly maxPairs: number;
}

/** Who watches whom, in both directions. No I/O and no time of its own. */
export class WatchList {
  readonly #bounds: WatchBounds;
  readonly #peers = new Map<string, WatchedPeer>();
  readonly #watches = new Map<Session, PeerWatch>();
  readonly #byIncarnation = new Map<string, Set<WatchedPeer>>();
  #pairs = 0;

  constructor(bounds: WatchBounds) {
    this.#bounds = bounds;
  }

  /** Users watched by anybody. */
  get peers(): ReadonlyMap<string, WatchedPeer> {
    return this.#peers;
  }

  get watches(): ReadonlyMap<Session, PeerWatch> {
    return this.#watches;
  }

  /** (session, user) pairs. */
  get pairs(): number {
    return this.#pairs;
  }

  /** Entries that hold sessions of watched users. */
  get incarnations(): string[] {
    return [...this.#byIncarnation.keys()];
  }

  heldBy(incarnation: string): Iterable<WatchedPeer> {
    return this.#byIncarnation.get(incarnation) ?? [];
  }

  /** Watches these users instead of those before. Undefined, and nothing changes, when that is too much. */
  set({ session, isOpen, userIds, endsAtMs, checkedAtMs }: WatchRequest): PeerWatch | undefined {
    const known = this.#watches.get(session);
    const before = known?.peers ?? new Map<string, WatchedPeer>();
    const added = userIds.filter((userId) => !before.has(userId));
    const isNew = added.filter((userId) => !this.#peers.has(userId)).length;
    const pairs = this.#pairs - before.size + userIds.length;
    if (this.#peers.size + isNew > this.#bounds.maxPeers || pairs > this.#bounds.maxPairs) return undefined;
    const watch = known ?? { session, isOpen, peers: before, endsAtMs, checkedAtMs, changed: new Set() };
    Object.assign(watch, { endsAtMs, checkedAtMs });
    this.#watches.set(session, watch);
    const peers = new Map(userIds.map((userId) => [userId, this.#peerOf(userId)]));
    for (const peer of peers.values()) peer.watches.add(watch);
    for (const [userId, peer] of before) if (!peers.has(userId)) this.#leave(watch, peer);
    watch.peers = peers;
    this.#pairs = pairs;
    return watch;
  }

  /** The session watches nobody any more. */
  drop(session: Session): void {
    const watch = this.#watches.get(session);
    if (!watch) return;
    this.#watches.delete(session);
    for (const peer of watch.peers.values()) this.#leave(watch, peer);
    this.#pairs -= watch.peers.size;
    watch.peers.clear();
  }

  /** Neither of the users watches the other any more. Those who did, each with whom it watched. */
  part(one: string, other: string): { watch: PeerWatch; peer: WatchedPeer }[] {
    const parted: { watch: PeerWatch; peer: WatchedPeer }[] = [];
    for (const [watcherId, peerId] of [
      [one, other],
      [other, one],
    ] as const) {
      const peer = this.#peers.get(peerId);
      for (const watch of [...(peer?.watches ?? [])]) {
        if (!peer || watch.session.userId !== watcherId) continue;
        watch.peers.delete(peerId);
        this.#pairs--;
        this.#leave(watch, peer);
        parted.push({ watch, peer });
      }
    }
    return parted;
  }

  /** Where a peer's sessions are now. */
  moved(peer: WatchedPeer, incarnations: readonly string[]): void {
    if (!this.#isWatched(peer)) return;
    for (const incarnation of peer.incarnations) this.#forget(incarnation, peer);
    peer.incarnations = incarnations;
    for (const incarnation of incarnations) {
      const held = this.#byIncarnation.get(incarnation);
      if (held) held.add(peer);
      else this.#byIncarnation.set(incarnation, new Set([peer]));
    }
  }

  #isWatched(peer: WatchedPeer): boolean {
    return this.#peers.get(peer.userId) === peer;
  }

  #peerOf(userId: string): WatchedPeer {
    const known = this.#peers.get(userId);
    if (known) return known;
    const peer: WatchedPeer = { userId, state: undefined, incarnations: [], watches: new Set() };
    this.#peers.set(userId, peer);
    return peer;
  }

  #leave(watch: PeerWatch, peer: WatchedPeer): void {
    peer.watches.delete(watch);
    watch.changed.delete(peer);
    if (peer.watches.size > 0) return;
    this.moved(peer, []);
    this.#peers.delete(peer.userId);
  }

  #forget(incarnation: string, peer: WatchedPeer): void {
    const held = this.#byIncarnation.get(incarnation);
    held?.delete(peer);
    if (held?.size === 0) this.#byIncarnation.delete(incarnation);
  }
}
