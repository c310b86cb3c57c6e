// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { TokenBucket } from "#lib/token-bucket.ts";
import { Command } from "#proto/commands.ts";
import { Presence, PresenceAsk, PresenceSub } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { Gate } from "../gate.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Router } from "../router/router.ts";
import { directConversationId } from "../send/conversation.ts";
import { type Refusal, type Session, sendError, sendReply, tagOf } from "../session/session.ts";
import type { Store } from "../store/store.ts";
import { isPeerId } from "../tenant/peer-id.ts";
import { MovedNotices } from "./moved-notices.ts";
import { lookAt } from "./peer-look.ts";
import { HIDDEN, type PeerLook, type PeerState, peerPresence } from "./peer-state.ts";
import type { PeerWatcher } from "./peer-watcher.ts";
import type { RouterMemory } from "./router-memory.ts";

/** Users in one question. */
export const MAX_ASKED_PEERS = 100;
/** Users that a session watches. */
export const MAX_WATCHED_PEERS = 200;
/** A subscription that is not repeated ends after this. */
export const LEASE_MS = 300_000;
/** Whom a session may see is looked up again after this; whom it could not see, with every repetition. */
const RECHECK_MS = 600_000;
/** Questions and subscriptions of one session. */
const PER_SECOND = 1;
const BURST = 20;
const RETRY_MS = 1000;

/** PRESENCE and PRESENCE_SUB of clients. */
export interface PresenceDesk {
  /** `isOpen`: is the session's connection still there? */
  handle(session: Session, request: PresenceRequestFrame, isOpen: () => boolean): void;
  /** The connection is gone. */
  closed(session: Session): void;
  /** A session that has a subscription somewhere else is bound here from now on. */
  moved(session: Session, isOpen: () => boolean): void;
}

/** One frame of a client. */
export interface PresenceRequestFrame {
  readonly cmd: number;
  readonly rid: number;
  readonly body: Uint8Array;
}

/** Where clients may see nobody: `spec.presence.visibleTo` is `nobody`. */
export const NO_PRESENCE: PresenceDesk = {
  handle: (session, { rid }) => {
    const reason = "this cluster shows nobody's presence to clients: see spec.presence.visibleTo";
    sendError(session, rid, { code: ErrorCode.PERMISSION_DENIED, reason });
  },
  closed: () => undefined,
  moved: () => undefined,
};

/** What {@link PresenceHandler} needs. */
export interface PresenceHandlerPorts {
  store: Pick<Store, "visiblePeers" | "devicesOf">;
  router: Pick<Router, "stored" | "leased">;
  watcher: PeerWatcher;
  memory: Pick<RouterMemory, "heldMs" | "requireWhole">;
  gate: Gate;
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "presenceRequests">;
}

/** What is kept of a session that asked once. */
interface Asker {
  readonly bucket: TokenBucket;
  /** Its newest PRESENCE_SUB: an older one that took longer must not undo it. */
  turn: number;
}

interface Known {
  readonly look: PeerLook;
  readonly lastSeenMs: number;
}

/**
 * Who may ask is told how those are who have written to it or share a group with it; about everybody else, whether they exist or not,
 * it hears that they are offline and were never seen.
 */
export class PresenceHandler implements PresenceDesk {
  readonly #ports: PresenceHandlerPorts;
  readonly #askers = new WeakMap<Session, Asker>();
  readonly #notices: MovedNotices;

  constructor(ports: PresenceHandlerPorts) {
    this.#ports = ports;
    this.#notices = new MovedNotices(ports.clock);
  }

  handle(session: Session, { cmd, rid, body }: PresenceRequestFrame, isOpen: () => boolean): void {
    const isSub = cmd === Command.PRESENCE_SUB;
    const kind = isSub ? "subscribe" : "ask";
    const count = (result: string): void => this.#ports.metrics.presenceRequests.inc({ kind, result });
    const refuse = (refusal: Refusal, result: string): void => {
      count(result);
      sendError(session, rid, refusal);
    };
    const self = session.userId;
    const userIds = isSub
      ? readIds(PresenceSub, { self, body, max: MAX_WATCHED_PEERS })
      : readIds(PresenceAsk, { self, body, max: MAX_ASKED_PEERS });
    if (typeof userIds === "string") {
      refuse({ code: ErrorCode.BAD_REQUEST, reason: userIds }, "invalid");
      return;
    }
    const asker = this.#askerOf(session);
    if (!asker.bucket.take()) {
      const reason = "presence is asked for too often: subscribe, and hear of changes";
      const retryAfterMs = asker.bucket.retryAfterMs();
      refuse({ code: ErrorCode.RATE_LIMITED, reason, retryable: true, retryAfterMs }, "limited");
      return;
    }
    const turn = isSub ? ++asker.turn : asker.turn;
    const answer = async (): Promise<void> => {
      try {
        if (isSub) await this.#subscribe(session, rid, userIds, { isOpen, isNewest: () => asker.turn === turn });
        else await this.#ask(session, rid, userIds);
        count("ok");
      } catch (error) {
        refuse(this.#refusalOf(error), "failed");
      }
    };
    this.#ports.gate.enter(answer, () => refuse({ ...LATER, code: ErrorCode.BUSY }, "busy"));
  }

  closed(session: Session): void {
    this.#ports.watcher.drop(session);
  }

  /** A frame without peers: subscribe again. */
  moved(session: Session, isOpen: () => boolean): void {
    this.#notices.tell(session, () => isOpen() && this.#ports.watcher.find(session) === undefined);
  }

  /** Releases the timer. */
  close(): void {
    this.#notices.close();
  }

  async #ask(session: Session, rid: number, userIds: readonly string[]): Promise<void> {
    const visible = await this.#visible(session.userId, new Set(userIds));
    const known = await this.#lookUp([...visible]);
    reply(session, rid, userIds, (userId) => stateOf(known.get(userId)), 0);
  }

  async #subscribe(session: Session, rid: number, userIds: readonly string[], now: Subscribing): Promise<void> {
    const { watcher, clock } = this.#ports;
    const before = watcher.find(session);
    const nowMs = clock.nowMs();
    const isFresh = before !== undefined && nowMs - before.checkedAtMs < RECHECK_MS;
    const seen = new Set(isFresh ? userIds.filter((userId) => before.peers.has(userId)) : []);
    const unseen = new Set(userIds.filter((userId) => !seen.has(userId)));
    const visible = [...seen, ...(await this.#visible(session.userId, unseen))];
    // Of a session that is gone, or has said something else since.
    if (!now.isOpen() || !now.isNewest()) {
      reply(session, rid, userIds, () => undefined, 0);
      return;
    }
    if (visible.length === 0) watcher.drop(session);
    const checkedAtMs = isFresh ? before.checkedAtMs : nowMs;
    const request = { session, isOpen: now.isOpen, userIds: visible, endsAtMs: nowMs + LEASE_MS, checkedAtMs };
    const watch = visible.length === 0 ? undefined : watcher.watch(request);
    if (!watch && visible.length > 0) throw new ImError(ErrorCode.BUSY, "too many watch too many");
    const stateless = visible.filter((userId) => watch?.peers.get(userId)?.state === undefined);
    try {
      for (const [userId, { look, lastSeenMs }] of await this.#lookUp(stateless))
        watcher.begin(userId, look, lastSeenMs);
    } catch (error) {
      // What came after this one watches others, and is not to be blamed.
      if (now.isNewest()) watcher.drop(session);
      throw error;
    }
    if (!now.isNewest()) {
      reply(session, rid, userIds, (userId) => watcher.find(session)?.peers.get(userId)?.state, 0);
      return;
    }
    this.#setWatches(session, userIds.length > 0);
    reply(session, rid, userIds, (userId) => watch?.peers.get(userId)?.state, userIds.length > 0 ? LEASE_MS : 0);
  }

  /** Those of them whom the user may see. */
  async #visible(userId: string, peers: ReadonlySet<string>): Promise<Set<string>> {
    const others = [...peers].filter((peerId) => peerId !== userId);
    const asked = others.map((peerId) => ({ peerId, conversationId: directConversationId(userId, peerId) }));
    const visible = new Set(asked.length === 0 ? [] : await this.#ports.store.visiblePeers(userId, asked));
    if (peers.has(userId)) visible.add(userId);
    return visible;
  }

  /** How they are now. @throws {ImError} RETRYABLE when that is not known of all of them */
  async #lookUp(userIds: readonly string[]): Promise<Map<string, Known>> {
    if (userIds.length === 0) return new Map();
    const looks = await lookAt(this.#ports.router, userIds);
    if (looks.size < userIds.length) throw new ImError(ErrorCode.RETRYABLE, "a part of the router does not answer");
    const away = userIds.filter((userId) => looks.get(userId)?.platforms.length === 0);
    if (away.length > 0) await this.#ports.memory.requireWhole();
    const lastSeen = new Map<string, number>();
    for (const { userId, lastSeenMs } of await this.#ports.store.devicesOf(away))
      lastSeen.set(userId, Math.max(lastSeenMs, lastSeen.get(userId) ?? 0));
    return new Map([...looks].map(([userId, look]) => [userId, { look, lastSeenMs: lastSeen.get(userId) ?? 0 }]));
  }

  /** Where the session goes, it is known that it has a subscription. */
  #setWatches(session: Session, watches: boolean): void {
    if (session.watches === watches) return;
    session.watches = watches;
    session.entry.send({ kind: RecordKind.SESSION_TAG, conn: session.conn, body: tagOf(session) });
  }

  #askerOf(session: Session): Asker {
    const known = this.#askers.get(session);
    if (known) return known;
    const asker: Asker = { bucket: new TokenBucket(PER_SECOND, BURST, this.#ports.clock), turn: 0 };
    this.#askers.set(session, asker);
    return asker;
  }

  #refusalOf(error: unknown): Refusal {
    if (error instanceof ImError && error.code === ErrorCode.BUSY) return { ...LATER, code: ErrorCode.BUSY };
    this.#ports.onFault("presence", error);
    const retryAfterMs = Math.max(RETRY_MS, this.#ports.memory.heldMs);
    if (error instanceof ImError && error.retryable) return { ...LATER, retryAfterMs };
    return { code: ErrorCode.INTERNAL, reason: "presence could not be read" };
  }
}

/** Asked again after what took its time. */
interface Subscribing {
  readonly isOpen: () => boolean;
  readonly isNewest: () => boolean;
}

const LATER: Refusal = {
  code: ErrorCode.RETRYABLE,
  reason: "presence cannot be told right now: ask again after the delay",
  retryable: true,
  retryAfterMs: RETRY_MS,
};

function stateOf(known: Known | undefined): PeerState | undefined {
  return known && { platforms: known.look.platforms, lastSeenMs: known.lastSeenMs, isSuspect: false };
}

function reply(
  session: Session,
  rid: number,
  userIds: readonly string[],
  stateFor: (userId: string) => PeerState | undefined,
  leaseMs: number,
): void {
  const peers = userIds.map((userId) => peerPresence(userId, stateFor(userId) ?? HIDDEN));
  sendReply(session, rid, Command.PRESENCE, Presence.encode({ peers, leaseMs }));
}

/** The distinct users of a body, or what is wrong with it. */
function readIds(
  codec: { decode(bytes: Uint8Array): { userIds: string[] } },
  { self, body, max }: { self: string; body: Uint8Array; max: number },
): string[] | string {
  let userIds: string[];
  try {
    ({ userIds } = codec.decode(body));
  } catch {
    // The decoder's own message means nothing to the author of a client.
    return "the body is no list of users: encode it as in client.proto";
  }
  if (userIds.length > max) return `more than ${max} users: name fewer`;
  if (!userIds.every((id) => isPeerId(self, id)))
    return "user_ids holds what is no user id: 1-64 of letters, digits and _.:@-";
  return [...new Set(userIds)];
}
