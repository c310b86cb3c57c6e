// SPDX-License-Identifier: Apache-2.0
import { Backoff } from "./backoff.ts";
import { Timer } from "./clock.ts";
import { type Envelope, Goaway, type Hello, type Pong, type Welcome } from "./codec.ts";
import { Command, codeName, DisconnectCode } from "./codes.ts";
import { Connection, type ConnectionEnd, endOf } from "./connection.ts";
import type { ImClientError } from "./errors.ts";
import type { Settings } from "./options.ts";
import { TokenSource } from "./token-source.ts";

/** What a {@link Link} tells its client. */
export interface LinkOwner {
  /** The part of HELLO that says where the inbox is. */
  resumeFrom(): Pick<Hello, "inboxEpoch" | "inboxCursor">;
  /** Logged in; from now on `link.write` goes to this connection. */
  onOpen(welcome: Welcome): void;
  onFrame(frame: Envelope): void;
  onHeads(heads: Pong): void;
  /** No connection any more; a new one is tried after `delayMs`. */
  onRetry(attempt: number, end: ConnectionEnd, delayMs: number): void;
  /** Terminal: no further attempt. */
  onTerminal(end: ConnectionEnd): void;
  onGoaway(reason: string, delayMs: number): void;
  onError(error: ImClientError): void;
}

const PROTOCOL = 1;
/** No advised delay is obeyed beyond this. */
const MAX_ADVISED_DELAY_MS = 600_000;
/** A network that cuts idle connections is taken to do so for this long. */
const DEATH_KEPT_MS = 3_600_000;
/** How long after it was given up a login may still be carried out by a slow server. */
const GHOST_MS = 60_000;

/**
 * Keeps one logged-in connection: dials, logs in, reconnects with backoff, moves to another entry on GOAWAY by opening
 * the new connection first, and stops on terminal codes.
 */
export class Link {
  readonly #settings: Settings;
  readonly #owner: LinkOwner;
  readonly #backoff: Backoff;
  readonly #dialTimer: Timer;
  readonly #tokens: TokenSource;
  /** Logged in; commands go here. */
  #active: Connection | undefined;
  /** Being dialled: the first connection, a reconnect, or the successor of `active`. */
  #next: Connection | undefined;
  #openedAtMs = 0;
  #isBackground = false;
  /** Of the last dial. */
  #network = "";
  /** Where and when a connection was last found dead by a PING of the rhythm, and how long it had been idle. */
  #death = { network: "", idleMs: 0, atMs: 0 };
  #ghostUntilMs = 0;

  constructor(owner: LinkOwner, settings: Settings) {
    this.#owner = owner;
    this.#settings = settings;
    const { backoffBaseMs, backoffCapMs } = settings.timing;
    this.#backoff = new Backoff(backoffBaseMs, backoffCapMs, settings.random);
    this.#dialTimer = new Timer(settings.clock);
    this.#tokens = new TokenSource(settings);
  }

  get isOpen(): boolean {
    return this.#active !== undefined;
  }

  get rttMs(): number {
    return this.#active?.rttMs ?? 0;
  }

  /** Begins with a fresh token: another person may have signed in since the last time. */
  start(): void {
    this.#backoff.reset();
    this.#tokens.held = undefined;
    this.#dial();
  }

  /** Ends everything from this side. */
  stop(): void {
    this.#tokens.cancel();
    this.#dialTimer.clear();
    if (this.#next !== undefined) this.#noteGhost(this.#next);
    this.#active?.close();
    this.#next?.close();
    this.#active = undefined;
    this.#next = undefined;
  }

  /** False when there is no connection; then nothing was written. */
  write(cmd: number, body: Uint8Array, rid = 0): boolean {
    this.#active?.write(cmd, body, rid);
    return this.#active !== undefined;
  }

  /** Logins use this token from now on. */
  useToken(token: string): void {
    this.#tokens.held = token;
  }

  /** Whether a person looks at the app. */
  setBackground(isBackground: boolean): void {
    if (isBackground === this.#isBackground) return;
    this.#isBackground = isBackground;
    this.#active?.setBackground(isBackground);
  }

  /** The network may be back: reconnect now rather than after the pause, or check that the connection lives. */
  wake(): void {
    if (this.#active !== undefined) {
      this.#active.probe();
    } else if (this.#dialTimer.isSet) {
      this.#dialTimer.clear();
      this.#dial();
    }
  }

  /** Drops the connection and dials again at once, e.g. to begin the inbox anew. */
  restart(code: number, reason: string): void {
    const connection = this.#active;
    if (connection === undefined) return;
    connection.close();
    this.#ended(connection, endOf(code, reason));
  }

  /** With the token at hand, or a new one. */
  #dial(): void {
    void this.#tokens.fetch(
      (token) => this.#login(token),
      (error) => this.#tokenFailed(error),
    );
  }

  #login(token: string): void {
    this.#tokens.held = token;
    const { clock, deviceId, deviceName, platform, appVersion } = this.#settings;
    const connection = new Connection(
      {
        onWelcome: (opened, welcome) => this.#opened(opened, welcome),
        onFrame: (from, frame) => this.#frame(from, frame),
        onHeads: (heads) => this.#owner.onHeads(heads),
        onEnd: (ended, end) => this.#ended(ended, end),
      },
      this.#settings,
    );
    this.#next = connection;
    const device = { deviceId, deviceName, platform, appVersion };
    const resume = this.#owner.resumeFrom();
    const caps = this.#settings.snapshot ? ["snapshot"] : [];
    const versions = { protoMin: PROTOCOL, protoMax: PROTOCOL, clientTimeMs: clock.wallMs() };
    connection.start({ ...versions, ...device, caps, ...resume, ...this.#networkHints(), token });
  }

  /** By them the server chooses a shorter interval where connections die unnoticed. */
  #networkHints(): Pick<Hello, "network" | "silentDeathMs"> {
    const network = this.#settings.network() ?? "";
    this.#network = network;
    const { idleMs, atMs, network: where } = this.#death;
    const isRecent = idleMs > 0 && this.#settings.clock.nowMs() - atMs < DEATH_KEPT_MS;
    return { network, silentDeathMs: isRecent && where === network ? idleMs : 0 };
  }

  #noteDeath({ silentDeathMs: idleMs }: Connection): void {
    if (idleMs === 0) return;
    this.#death = { network: this.#network, idleMs, atMs: this.#settings.clock.nowMs() };
  }

  #tokenFailed(error: ImClientError): void {
    this.#owner.onError(error);
    const { code, message, retryable } = error;
    this.#failed(endOf(code, message, { mayReconnect: retryable }));
  }

  #opened(connection: Connection, welcome: Welcome): void {
    if (connection !== this.#next) return;
    const old = this.#active;
    this.#active = connection;
    this.#next = undefined;
    this.#openedAtMs = this.#settings.clock.nowMs();
    // Anything the old one still held is asked for again on the new one: sends by id, events by cursor.
    old?.close();
    this.#owner.onOpen(welcome);
    if (this.#isBackground) connection.setBackground(true);
  }

  #frame(from: Connection, frame: Envelope): void {
    if (frame.cmd !== Command.GOAWAY) this.#owner.onFrame(frame);
    else if (from === this.#active) this.#goaway(Goaway.decode(frame.body));
  }

  #goaway(goaway: Goaway): void {
    if (this.#next !== undefined || this.#dialTimer.isSet) return;
    const minMs = Math.min(goaway.minDelayMs, MAX_ADVISED_DELAY_MS);
    const maxMs = Math.max(minMs, Math.min(goaway.maxDelayMs, MAX_ADVISED_DELAY_MS));
    const delayMs = minMs + (maxMs - minMs) * this.#settings.random();
    this.#settings.transport.prefer?.(goaway.endpoints);
    this.#dialTimer.set(delayMs, () => this.#dial());
    this.#owner.onGoaway(goaway.reason, delayMs);
  }

  #ended(connection: Connection, end: ConnectionEnd): void {
    this.#noteDeath(connection);
    if (connection === this.#next) {
      this.#next = undefined;
      this.#noteGhost(connection);
      this.#failed(end);
    } else if (connection === this.#active) {
      this.#lost(end);
    }
  }

  /** The logged-in connection is gone. */
  #lost(end: ConnectionEnd): void {
    this.#active = undefined;
    if (this.#settings.clock.nowMs() - this.#openedAtMs >= this.#settings.timing.stableMs) this.#backoff.reset();
    // Our own successor's login replaces this connection before its WELCOME arrives here.
    if (end.code === DisconnectCode.SUPERSEDED && this.#next !== undefined) return;
    if (!this.#mayRetry(end)) this.#terminate(end);
    else if (this.#next !== undefined) this.#owner.onRetry(this.#backoff.attempt, end, 0);
    else this.#schedule(end);
  }

  /** An attempt failed; with a living `active` this was the move to another entry. */
  #failed(end: ConnectionEnd): void {
    if (end.code === DisconnectCode.TOKEN_EXPIRED) this.#tokens.held = undefined;
    if (this.#mayRetry(end)) this.#schedule(end);
    else this.#terminate(end);
  }

  /** A login given up on may be carried out late, and then replaces the one that came after it: that was no other device. */
  #noteGhost(connection: Connection): void {
    if (connection.isLoginPending) this.#ghostUntilMs = this.#settings.clock.nowMs() + GHOST_MS;
  }

  #mayRetry(end: ConnectionEnd): boolean {
    if (end.mayReconnect) return true;
    const isOwnGhost = end.code === DisconnectCode.SUPERSEDED && this.#settings.clock.nowMs() < this.#ghostUntilMs;
    // Once: two devices with one id must not replace each other for ever.
    if (isOwnGhost) this.#ghostUntilMs = 0;
    return isOwnGhost;
  }

  #schedule(end: ConnectionEnd): void {
    if (end.code === DisconnectCode.TOKEN_EXPIRED) this.#tokens.held = undefined;
    // An answer of getToken that is still on its way belongs to an attempt that is given up here.
    this.#tokens.cancel();
    const advisedMs = Math.min(end.retryAfterMs, MAX_ADVISED_DELAY_MS);
    const delayMs = advisedMs + this.#backoff.next();
    this.#dialTimer.set(delayMs, () => this.#dial());
    if (this.#active === undefined) this.#owner.onRetry(this.#backoff.attempt, end, delayMs);
  }

  #terminate(end: ConnectionEnd): void {
    this.stop();
    this.#owner.onTerminal({ ...end, reason: end.reason || codeName(end.code) });
  }
}
