// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { tenantOf } from "#lib/tenant.ts";
import { Command, MAX_CONTENT_BYTES, MAX_FRAME_BYTES } from "#proto/commands.ts";
import { Hello, LoginReply, LoginRequest, Welcome } from "#proto/gen/messages.ts";
import { Gathered } from "../gathered.ts";
import type { AckBuffer } from "../inbox/acks.ts";
import type { EpochWatch } from "../inbox/epoch-watch.ts";
import type { GapLimits } from "../inbox/gap.ts";
import { PAGE_EVENTS } from "../inbox/page-limits.ts";
import { pageOf } from "../inbox/pull.ts";
import type { Route, Router, RouterLogin } from "../router/router.ts";
import { type LoginRecord, OtherEpochError, type Store } from "../store/store.ts";
import { portOf, shownTo } from "../tenant/tenant-port.ts";
import type { Defer } from "../tick-batch.ts";
import type { TokenVerdict } from "../token/verify.ts";
import { type FirstPage, FirstPages } from "./first-page.ts";
import { FlapShield } from "./flap-shield.ts";
import { type Kicker, kickReplaced } from "./kick.ts";
import { pingIntervalsFor } from "./ping-intervals.ts";
import { type EntryPort, type Session, tagOf, tokenTtlMs } from "./session.ts";
import { PLATFORMS, type SessionPolicy, slotOf } from "./slots.ts";

const PROTO_VERSION = 1;
const MAX_DEVICE_CHARS = 64;
const MAX_LABEL_CHARS = 128;
const RETRY_BASE_MS = 500;
/** Slots claimed with one call of the router. */
const MAX_CLAIMS = 500;
const MAX_WAITING_CLAIMS = 10_000;

/** What {@link LoginHandler} needs. */
export interface LoginPorts {
  verifyToken: (token: string) => Promise<TokenVerdict>;
  store: Pick<Store, "login" | "inboxHeads" | "readInbox">;
  router: Pick<Router, "login" | "logout">;
  /** Takes a route away that could not be taken away at once, when the router answers again. */
  removeLater: (session: Session) => void;
  kicks: Kicker;
  policy: SessionPolicy;
  /** Newest activation seq of broadcasts, from memory. */
  sysHead: (userId: string) => number;
  acks: Pick<AckBuffer, "note">;
  epochs: Pick<EpochWatch, "saw" | "markOf">;
  clock: Clock;
  defer: Defer;
  /** Uniform in [0, 1). */
  random: () => number;
  pingIntervalMs: number;
  backgroundPingIntervalMs: number;
  gap: GapLimits;
  onRouterFault: (op: string, error: unknown) => void;
  onStoreFault: (op: string, error: unknown) => void;
  onKick: (code: DisconnectCode) => void;
}

/** One LOGIN record: the connection that said HELLO. */
export interface LoginAttempt {
  entry: EntryPort;
  /** Pod name of the entry, for people. */
  entryName: string;
  conn: number;
  /** LoginRequest. */
  body: Uint8Array;
}

export type LoginOutcome =
  /** `isRouted` false: the router was away, the route has to be announced later. */
  | { readonly kind: "ok"; readonly session: Session; readonly reply: Uint8Array; readonly isRouted: boolean }
  | { readonly kind: "denied"; readonly code: DisconnectCode; readonly reason: string; readonly retryAfterMs: number }
  /** The entry itself is fenced: nobody can log in through it. */
  | { readonly kind: "fenced" };

/**
 * HELLO, in this order: token, device row (revocations, slot and login_seq from SQL), route (newest login wins), kick of the session that
 * lost the slot, first page. The route comes before the page, so a message is either in the page or pushed.
 * Redis down: the login succeeds and the route follows when Redis answers again. Each step is taken together by all that came to it
 * in the same moment.
 */
export class LoginHandler {
  readonly #ports: LoginPorts;
  readonly #shield: FlapShield;
  readonly #claims: Gathered<Route, RouterLogin>;
  readonly #pages: FirstPages;

  constructor(ports: LoginPorts) {
    this.#ports = ports;
    this.#shield = new FlapShield(ports.clock);
    this.#claims = new Gathered({
      defer: ports.defer,
      run: (routes) => ports.router.login(routes),
      maxBatch: MAX_CLAIMS,
      maxWaiting: MAX_WAITING_CLAIMS,
    });
    this.#pages = new FirstPages(ports);
  }

  /** Never rejects. */
  async login(attempt: LoginAttempt): Promise<LoginOutcome> {
    const hello = parseHello(attempt.body);
    if ("kind" in hello) return hello;
    const verdict = await this.#ports.verifyToken(hello.token);
    if (verdict.kind === "denied") return { ...verdict, retryAfterMs: 0 };
    return this.#admit(attempt, hello, verdict);
  }

  async #admit(attempt: LoginAttempt, hello: Hello, verdict: TokenVerdict & { kind: "ok" }): Promise<LoginOutcome> {
    const { userId, tokenId, issuedAtMs, expiresAtMs } = verdict;
    const { deviceId, platform } = hello;
    const platformClass = slotOf(platform) ?? "";
    const deviceName = labelOf(hello.deviceName) || platform;
    const recorded = await this.#record(hello, verdict, deviceName, platformClass);
    if (recorded === undefined) return this.#unavailable();
    if (recorded.kind === "revoked")
      return denied(DisconnectCode.TOKEN_REVOKED, "the token was revoked: sign in again");
    if (recorded.kind === "flapping") {
      this.#shield.refused(userId, platformClass, recorded.retryAfterMs);
      return { ...FLAPPING, retryAfterMs: recorded.retryAfterMs };
    }
    const session: Session = {
      entry: portOf(attempt.entry, userId),
      conn: attempt.conn,
      userId,
      slot: recorded.slot,
      deviceId,
      deviceName,
      loginSeq: recorded.loginSeq,
      epochMark: this.#sawMark(recorded.epoch),
      notedAckSeq: recorded.ackedSeq,
      token: { tokenId, issuedAtMs, expiresAtMs },
    };
    const claim = await this.#claimSlot(session);
    if (claim !== "routed" && claim !== "unrouted") return claim;
    return this.#welcome(attempt, hello, session, claim === "routed");
  }

  /** Undefined: the store is away. */
  async #record(
    { deviceId, platform, appVersion }: Hello,
    { userId, tokenId, issuedAtMs }: TokenVerdict & { kind: "ok" },
    deviceName: string,
    slot: string,
  ): Promise<LoginRecord | undefined> {
    const { store, policy, onStoreFault } = this.#ports;
    const retryAfterMs = this.#shield.retryAfterMs(userId, slot);
    if (retryAfterMs > 0) return { kind: "flapping", retryAfterMs };
    try {
      return await store.login({
        ...{ userId, slot, deviceId, deviceName, platform, appVersion: labelOf(appVersion) },
        ...policy,
        token: { tokenId, issuedAtMs },
      });
    } catch (error) {
      onStoreFault("login", error);
      return undefined;
    }
  }

  async #claimSlot(session: Session): Promise<LoginOutcome | "routed" | "unrouted"> {
    let outcome: RouterLogin;
    try {
      outcome = await this.#claims.call(routeOf(session));
    } catch (error) {
      this.#ports.onRouterFault("login", error);
      return "unrouted";
    }
    if (outcome.kind === "unknown") {
      this.#ports.onRouterFault("login", outcome.cause);
      return "unrouted";
    }
    if (outcome.kind === "stale") return staleLogin(session, outcome.holder);
    if (outcome.replaced) this.#ports.onKick(kickReplaced(this.#ports.kicks, session, outcome.replaced));
    if (outcome.kind === "fenced") return { kind: "fenced" };
    return "routed";
  }

  async #welcome(
    { entryName }: LoginAttempt,
    hello: Hello,
    session: Session,
    isRouted: boolean,
  ): Promise<LoginOutcome> {
    const { clock } = this.#ports;
    const { pingIntervalMs, backgroundPingIntervalMs } = pingIntervalsFor(hello, this.#ports);
    let first: FirstPage;
    try {
      first = await this.#pages.read(session.userId, hello);
      // Between the two the database became another one.
      if (this.#sawMark(first.page.epoch) !== session.epochMark) throw new OtherEpochError("first page");
    } catch (error) {
      this.#ports.onStoreFault("first page", error);
      await this.#releaseSlot(session);
      return this.#unavailable();
    }
    const { page, cursor, resumed } = first;
    if (resumed) this.#ports.acks.note(session, cursor);
    const welcome = shownTo(
      tenantOf(session.userId),
      Command.WELCOME,
      Welcome.encode({
        proto: PROTO_VERSION,
        sessionId: `${session.entry.incarnation}/${session.conn}`,
        userId: session.userId,
        resumed,
        inboxEpoch: page.epoch,
        inboxHead: page.head,
        sysHead: this.#ports.sysHead(session.userId),
        firstPage: pageOf(page),
        serverTimeMs: clock.wallMs(),
        pingIntervalMs,
        backgroundPingIntervalMs,
        limits: { maxFrameBytes: MAX_FRAME_BYTES, maxContentBytes: MAX_CONTENT_BYTES, maxPageEvents: PAGE_EVENTS.max },
        entryId: entryName,
        tokenTtlMs: tokenTtlMs(session, clock.wallMs()),
      }),
    );
    const reply = LoginReply.encode({
      userId: session.userId,
      slot: session.slot,
      tag: tagOf(session),
      welcome,
      pingIntervalMs,
      backgroundPingIntervalMs,
      inboxHead: page.head,
      loginSeq: session.loginSeq,
      epochMark: session.epochMark,
    });
    return { kind: "ok", session, reply, isRouted };
  }

  #sawMark(epoch: string): number {
    this.#ports.epochs.saw(epoch);
    return this.#ports.epochs.markOf(epoch);
  }

  async #releaseSlot(session: Session): Promise<void> {
    const { userId, entry, conn } = session;
    try {
      await this.#ports.router.logout([{ userId, incarnation: entry.incarnation, conn }]);
    } catch (error) {
      this.#ports.onRouterFault("logout", error);
      // The entry knows of no session here, and will not tell that one is over.
      this.#ports.removeLater(session);
    }
  }

  #unavailable(): LoginOutcome {
    const retryAfterMs = Math.round(RETRY_BASE_MS * (1 + 3 * this.#ports.random()));
    const reason = "logins are not possible right now: reconnect after the delay";
    return { kind: "denied", code: DisconnectCode.LOGIC_UNAVAILABLE, reason, retryAfterMs };
  }
}

const FLAPPING: LoginOutcome & { kind: "denied" } = denied(
  DisconnectCode.FLAPPING,
  "this user logs in too often here: reconnect after the delay, and look for two clients that replace each other",
);

/** The route of a session. */
export function routeOf(session: Session): Route {
  const { userId, slot, conn, loginSeq, deviceId } = session;
  return { userId, slot, incarnation: session.entry.incarnation, conn, loginSeq, deviceId };
}

/** This login lost to a newer one before it was done. */
export function staleLogin(session: Session, holder: Route): LoginOutcome & { kind: "denied" } {
  const isSameDevice = holder.deviceId === session.deviceId;
  return isSameDevice
    ? denied(DisconnectCode.SUPERSEDED, "this device has logged in on a newer connection: use that one")
    : denied(DisconnectCode.KICKED, "another device took this slot: log in again only when the person asks for it");
}

/** What the database can hold of a text for people. */
function labelOf(text: string): string {
  return text.slice(0, MAX_LABEL_CHARS).replaceAll("\0", "");
}

function denied(code: DisconnectCode, reason: string): LoginOutcome & { kind: "denied" } {
  return { kind: "denied", code, reason, retryAfterMs: 0 };
}

function parseHello(body: Uint8Array): Hello | LoginOutcome {
  let hello: Hello;
  try {
    hello = Hello.decode(LoginRequest.decode(body).hello);
  } catch {
    // The decoder's own message means nothing to the author of a client.
    return denied(DisconnectCode.PROTOCOL_ERROR, "the body is not a Hello message: encode it as in client.proto");
  }
  const { protoMin, protoMax, deviceId, platform } = hello;
  if (protoMin > PROTO_VERSION || (protoMax > 0 && protoMax < PROTO_VERSION))
    return denied(DisconnectCode.VERSION_UNSUPPORTED, `this server speaks protocol version ${PROTO_VERSION}`);
  if (deviceId === "" || deviceId.length > MAX_DEVICE_CHARS || deviceId.includes("\0"))
    return denied(DisconnectCode.PROTOCOL_ERROR, `device_id must have 1 to ${MAX_DEVICE_CHARS} characters`);
  if (slotOf(platform) === undefined)
    return denied(DisconnectCode.PROTOCOL_ERROR, `platform must be one of ${PLATFORMS.join(", ")}`);
  return hello;
}
