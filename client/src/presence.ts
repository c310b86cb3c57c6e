// SPDX-License-Identifier: Apache-2.0
// Who of those that the user talks to is online. Not part of the core: `import { PresenceWatch } from "@imcluster/client/presence"`.
import type { ImClient } from "./client.ts";
import { type Clock, systemClock, Timer } from "./clock.ts";
import { Command, ErrorCode } from "./codes.ts";
import { ImClientError, messageOf } from "./errors.ts";
import { Presence, PresenceAsk, PresenceSub } from "./presence-codec.ts";

/** How somebody is, as far as this user may know: who has written to it, or shares a group with it. Others seem offline. */
export interface PeerPresence {
  /** Whose. */
  readonly userId: string;
  /** At least one device is connected. */
  readonly online: boolean;
  /** Where, while online: mobile, web, desktop, mini. */
  readonly platforms: readonly string[];
  /** While offline: when a device was there last, ms since 1970, coarse; 0 = not known. */
  readonly lastSeenMs: number;
}

/** What is needed of the client. */
export type PresenceClient = Pick<ImClient, "request" | "on" | "state">;

/** Options of {@link PresenceWatch}. */
export interface PresenceWatchOptions {
  /** Somebody came or went. `before` is undefined for what is heard of a user for the first time. */
  onChange(peer: PeerPresence, before: PeerPresence | undefined): void;
  /** The server refuses, e.g. with PERMISSION_DENIED as it shows nobody's presence. Default: nothing; the next login asks again. */
  onError?(error: ImClientError): void;
  /** For tests. */
  clock?: Clock;
  /** Uniform in [0, 1); for tests. */
  random?: () => number;
}

/** Most users that a {@link PresenceWatch} watches. */
export const MAX_WATCHED = 200;
const MAX_ASKED = 100;
/** Of the lease: renewed in time, and not by all at once. */
const RENEW_FROM = 0.4;
const RENEW_SPREAD = 0.2;
/** A server that was lost had many subscriptions. */
const AGAIN_SPREAD_MS = 1000;
const MIN_RENEW_MS = 5000;

/** How these users are now, in their order, each once. Any number of them, a hundred at a time. */
export async function fetchPresence(
  client: Pick<PresenceClient, "request">,
  userIds: Iterable<string>,
  options: { signal?: AbortSignal } = {},
): Promise<PeerPresence[]> {
  const all = [...new Set(userIds)];
  const peers: PeerPresence[] = [];
  for (let at = 0; at < all.length; at += MAX_ASKED) {
    const body = PresenceAsk.encode({ userIds: all.slice(at, at + MAX_ASKED) });
    peers.push(...Presence.decode(await client.request(Command.PRESENCE, body, options)).peers);
  }
  return peers;
}

/**
 * Watches up to {@link MAX_WATCHED} users, over reconnects: subscribes with every login, and again before the subscription ends. What it
 * knows is of the last moment that there was a connection.
 */
export class PresenceWatch implements Disposable {
  readonly #client: PresenceClient;
  readonly #options: PresenceWatchOptions;
  readonly #random: () => number;
  readonly #renewal: Timer;
  readonly #peers = new Map<string, PeerPresence>();
  readonly #stops: (() => void)[];
  #wanted: readonly string[] = [];
  /** The subscription that is being asked for. */
  #asking: AbortController | undefined;
  /** The server may have a subscription of this connection. */
  #isSubscribed = false;

  /** Watches nobody yet: see {@link PresenceWatch.set}. */
  constructor(client: PresenceClient, options: PresenceWatchOptions) {
    this.#client = client;
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#renewal = new Timer(options.clock ?? systemClock);
    this.#stops = [
      client.on("state", ({ kind }) => {
        this.#isSubscribed = false;
        this.#renewal.clear();
        // The client itself repeats what was asked before; what was not comes after that.
        if (kind === "open") queueMicrotask(() => this.#asking ?? this.#subscribe());
      }),
      client.on("frame", ({ cmd, body }) => {
        if (cmd === Command.PRESENCE) this.#changed(body);
      }),
    ];
  }

  /** What is known of the users that are watched. */
  get peers(): ReadonlyMap<string, PeerPresence> {
    return this.#peers;
  }

  /**
   * Watches these users instead of those before. Call it again when somebody new was written to or has answered.
   * @throws ImClientError BAD_REQUEST when they are more than {@link MAX_WATCHED}
   */
  set(userIds: Iterable<string>): void {
    const wanted = [...new Set(userIds)];
    if (wanted.length > MAX_WATCHED)
      throw new ImClientError(ErrorCode.BAD_REQUEST, `more than ${MAX_WATCHED} users cannot be watched`);
    this.#wanted = wanted;
    for (const userId of this.#peers.keys()) if (!wanted.includes(userId)) this.#peers.delete(userId);
    this.#subscribe();
  }

  /** Watches nobody any more. */
  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#wanted = [];
    this.#peers.clear();
    this.#subscribe();
  }

  /** {@link PresenceWatch.close}, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #subscribe(): void {
    this.#renewal.clear();
    this.#asking?.abort();
    this.#asking = undefined;
    const isOver = this.#client.state.kind !== "open";
    if (isOver || (this.#wanted.length === 0 && !this.#isSubscribed)) return;
    const asking = new AbortController();
    this.#asking = asking;
    this.#isSubscribed = this.#wanted.length > 0;
    const body = PresenceSub.encode({ userIds: [...this.#wanted] });
    const answer = this.#client.request(Command.PRESENCE_SUB, body, { signal: asking.signal });
    answer.then(Presence.decode).then(
      (presence) => this.#answered(asking, presence),
      (error: unknown) => this.#failed(asking, error),
    );
  }

  #answered(asking: AbortController, { peers, leaseMs }: Presence): void {
    if (this.#asking !== asking) return;
    this.#asking = undefined;
    this.#isSubscribed = leaseMs > 0;
    if (leaseMs > 0) this.#again(Math.max(MIN_RENEW_MS, leaseMs * (RENEW_FROM + RENEW_SPREAD * this.#random())));
    for (const peer of peers) this.#apply(peer);
  }

  #failed(asking: AbortController, error: unknown): void {
    if (this.#asking !== asking) return;
    this.#asking = undefined;
    if (this.#client.state.kind !== "closed") this.#report(error);
  }

  #report(error: unknown): void {
    const known = error instanceof ImClientError ? error : new ImClientError(ErrorCode.INTERNAL, messageOf(error));
    this.#options.onError?.(known);
  }

  #changed(body: Uint8Array): void {
    let peers: readonly PeerPresence[];
    try {
      ({ peers } = Presence.decode(body));
    } catch (error) {
      this.#report(error);
      return;
    }
    // Nobody: changes were lost, or the server that had the subscription.
    if (peers.length === 0 && this.#wanted.length > 0) this.#again(AGAIN_SPREAD_MS * this.#random());
    for (const peer of peers) this.#apply(peer);
  }

  #again(delayMs: number): void {
    this.#renewal.set(delayMs, () => this.#subscribe());
  }

  #apply(peer: PeerPresence): void {
    const { userId } = peer;
    if (!this.#wanted.includes(userId)) return;
    const before = this.#peers.get(userId);
    this.#peers.set(userId, peer);
    if (before === undefined || isDifferent(before, peer)) this.#options.onChange(peer, before);
  }
}

function isDifferent(one: PeerPresence, other: PeerPresence): boolean {
  const isElsewhere = one.platforms.join() !== other.platforms.join();
  return isElsewhere || one.online !== other.online || one.lastSeenMs !== other.lastSeenMs;
}
