// SPDX-License-Identifier: Apache-2.0
import { Timer } from "./clock.ts";
import { type Envelope, ErrorInfo, Hello, Kick, Ping, Pong, Welcome } from "./codec.ts";
import { ClientCode, Command, codeName, DisconnectCode, ErrorCode, mayReconnect } from "./codes.ts";
import { ImClientError, messageOf } from "./errors.ts";
import { encodeFrame, FrameSplitter } from "./frame.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Settings } from "./options.ts";
import type { Socket } from "./transport/transport.ts";
import { concat, EMPTY } from "./wire.ts";

/** Why a connection ended. */
export interface ConnectionEnd {
  readonly code: number;
  readonly reason: string;
  /** May the client try again by itself? */
  readonly mayReconnect: boolean;
  /** Lower bound of the pause before that, ms. */
  readonly retryAfterMs: number;
  readonly byDevice: string;
}

/** An end that says nothing beyond its code, except for `detail`. */
export function endOf(code: number, reason: string, detail: Partial<ConnectionEnd> = {}): ConnectionEnd {
  return { code, reason, mayReconnect: mayReconnect(code), retryAfterMs: 0, byDevice: "", ...detail };
}

/** What a connection tells its owner. */
export interface ConnectionOwner {
  onWelcome(connection: Connection, welcome: Welcome): void;
  /** Every frame after WELCOME that is not about the connection itself. */
  onFrame(connection: Connection, frame: Envelope): void;
  /** Head of the inbox as the entry knows it. */
  onHeads(heads: Pong): void;
  /** Once, unless `close()` was called. */
  onEnd(connection: Connection, end: ConnectionEnd): void;
}

const HELLO_RID = 1;
const DEFAULT_PING_INTERVAL_MS = 30_000;
/** An answer older than this tells nothing of the way: the device slept. */
const MAX_HELD_MS = 600_000;
/** Codes of ERROR from here on announce the end of the connection. */
const FIRST_DISCONNECT_CODE = 4000;
/** Refusals of a login that may be carried out all the same: the server lost sight of it. */
const UNCERTAIN: ReadonlySet<number> = new Set([
  DisconnectCode.LOGIC_UNAVAILABLE,
  DisconnectCode.LOGIN_TIMEOUT,
  ErrorCode.RETRYABLE,
  ErrorCode.INTERNAL,
]);

type Phase = "dialling" | "login" | "open" | "ended";

/** One socket from dialling to its end: login, heartbeat, framing. Knows nothing of messages. */
export class Connection {
  readonly #settings: Settings;
  readonly #owner: ConnectionOwner;
  readonly #splitter = new FrameSplitter();
  readonly #loginTimer: Timer;
  #phase: Phase = "dialling";
  #socket: Socket | undefined;
  #heartbeat: Heartbeat | undefined;
  #outgoing: Uint8Array[] = [];
  #pingRid = 0;
  #rttMs = 0;
  /** The last answer that carried a rid, and when it came: tells the server the round trip. */
  #answeredRid = 0;
  #answeredAtMs = 0;
  /** What the server wants to see again in the next PING. */
  #lease: Uint8Array = EMPTY;
  #intervals = { foregroundMs: 0, backgroundMs: 0 };
  #silentDeathMs = 0;
  #isLoginPending = false;

  constructor(owner: ConnectionOwner, settings: Settings) {
    this.#owner = owner;
    this.#settings = settings;
    this.#loginTimer = new Timer(settings.clock);
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  /** HELLO went out and nobody knows what becomes of it: the server may still be at work on it. */
  get isLoginPending(): boolean {
    return this.#isLoginPending;
  }

  /** Round trip of the last PING, ms; 0 before the first. */
  get rttMs(): number {
    return this.#rttMs;
  }

  /** How long it had been idle when a PING found it dead; 0 = that was not its end. */
  get silentDeathMs(): number {
    return this.#silentDeathMs;
  }

  /** Whether a person looks at the app: PINGs come in the rhythm for it, and one at once when somebody does again. */
  setBackground(isBackground: boolean): void {
    const { foregroundMs, backgroundMs } = this.#intervals;
    this.#heartbeat?.setInterval(isBackground ? backgroundMs : foregroundMs);
    if (!isBackground) this.#heartbeat?.probe();
  }

  /** Dials and sends HELLO. Called once. */
  start(hello: Partial<Hello>): void {
    const { transport, url, timing } = this.#settings;
    this.#loginTimer.set(timing.loginTimeoutMs, () => {
      const code = this.#phase === "dialling" ? ClientCode.CONNECTION_LOST : DisconnectCode.LOGIN_TIMEOUT;
      this.#end(code, `no answer from ${url} within ${timing.loginTimeoutMs} ms`);
    });
    try {
      this.#socket = transport(url, {
        onOpen: () => this.#login(hello),
        onData: (bytes) => this.#receive(bytes),
        onClose: (code, reason) => this.#end(code, reason || `connection to ${url} lost`),
      });
    } catch (error) {
      const code = error instanceof ImClientError ? error.code : ClientCode.CONNECTION_LOST;
      this.#end(code, messageOf(error));
    }
  }

  /** Queues a frame; what is queued in one turn of the event loop leaves in one write. */
  write(cmd: number, body: Uint8Array, rid = 0, lease = EMPTY): void {
    if (this.#phase !== "open") return;
    if (this.#outgoing.length === 0) queueMicrotask(() => this.flush());
    this.#outgoing.push(encodeFrame({ cmd, rid, lease, body }));
  }

  /** Writes what is queued now rather than at the end of the turn. */
  flush(): void {
    if (this.#phase === "ended" || this.#outgoing.length === 0) return;
    const bytes = concat(this.#outgoing);
    this.#outgoing = [];
    this.#socket?.send(bytes);
  }

  /** Asks the peer for a sign of life now. */
  probe(): void {
    this.#heartbeat?.probe();
  }

  /** Ends it from this side, silently for the owner. */
  close(): void {
    this.flush();
    this.#release();
  }

  #login(hello: Partial<Hello>): void {
    if (this.#phase !== "dialling") return;
    this.#phase = "login";
    this.#isLoginPending = true;
    this.#socket?.send(encodeFrame({ cmd: Command.HELLO, rid: HELLO_RID, body: Hello.encode(hello) }));
  }

  #receive(bytes: Uint8Array): void {
    if (this.#phase === "ended") return;
    this.#heartbeat?.received();
    try {
      for (const frame of this.#splitter.push(bytes)) this.#handle(frame);
    } catch (error) {
      if (!(error instanceof ImClientError)) throw error;
      // The server's mistake or a middlebox's: a fresh connection may well work, so this is not terminal.
      this.#end(ClientCode.CONNECTION_LOST, error.message);
    }
  }

  #handle(frame: Envelope): void {
    if (this.#phase === "ended") return;
    if (frame.cmd !== Command.ERROR) this.#isLoginPending = false;
    if (frame.cmd === Command.KICK) this.#kicked(Kick.decode(frame.body));
    else if (frame.cmd === Command.ERROR && this.#isAboutConnection(frame)) this.#refused(ErrorInfo.decode(frame.body));
    else if (frame.cmd === Command.WELCOME) this.#welcome(frame, Welcome.decode(frame.body));
    else if (frame.cmd === Command.PONG) this.#pong(frame);
    else if (this.#phase === "open") this.#owner.onFrame(this, frame);
  }

  #isAboutConnection(frame: Envelope): boolean {
    return this.#phase !== "open" || ErrorInfo.decode(frame.body).code >= FIRST_DISCONNECT_CODE;
  }

  #welcome(frame: Envelope, welcome: Welcome): void {
    if (this.#phase !== "login") return;
    this.#phase = "open";
    this.#loginTimer.clear();
    this.#answered(frame);
    const foregroundMs = welcome.pingIntervalMs || DEFAULT_PING_INTERVAL_MS;
    this.#intervals = { foregroundMs, backgroundMs: welcome.backgroundPingIntervalMs || foregroundMs };
    const { clock, random, timing } = this.#settings;
    this.#heartbeat = new Heartbeat(
      { ping: () => this.#ping(), onSilence: (idleMs) => this.#silent(idleMs) },
      { clock, random, intervalMs: foregroundMs, timeoutMs: timing.pongTimeoutMs },
    );
    this.#heartbeat.start();
    this.#owner.onWelcome(this, welcome);
  }

  #ping(): void {
    this.#pingRid = (this.#pingRid % 0x7fff_ffff) + 1;
    const heldMs = Math.round(this.#settings.clock.nowMs() - this.#answeredAtMs);
    const told = this.#answeredRid === 0 || heldMs > MAX_HELD_MS ? {} : { answers: this.#answeredRid, heldMs };
    this.write(Command.PING, Ping.encode(told), this.#pingRid, this.#lease);
    this.#answeredRid = 0;
  }

  #answered({ rid, lease }: Envelope): void {
    this.#answeredRid = rid;
    this.#answeredAtMs = this.#settings.clock.nowMs();
    // A copy: what is received is a view of the transport's buffer.
    this.#lease = lease.length > 0 ? Uint8Array.from(lease) : EMPTY;
  }

  #silent(idleMs: number): void {
    this.#silentDeathMs = Math.round(idleMs);
    this.#end(DisconnectCode.PING_TIMEOUT, "no answer to PING");
  }

  #pong(frame: Envelope): void {
    if (frame.rid !== 0 && frame.rid === this.#pingRid && this.#heartbeat) {
      this.#rttMs = this.#heartbeat.pong();
      this.#answered(frame);
    }
    this.#owner.onHeads(Pong.decode(frame.body));
  }

  #kicked(kick: Kick): void {
    this.#end(kick.code, kick.reason || codeName(kick.code), { byDevice: kick.byDevice });
  }

  #refused(info: ErrorInfo): void {
    this.#isLoginPending &&= UNCERTAIN.has(info.code);
    // Answers to HELLO below 4000 say themselves whether to retry; above, the range does.
    const isDisconnect = info.code >= FIRST_DISCONNECT_CODE;
    const mayRetry = isDisconnect ? mayReconnect(info.code) : info.retryable || info.code === ErrorCode.INTERNAL;
    const detail = { retryAfterMs: info.retryAfterMs, mayReconnect: mayRetry };
    this.#end(info.code, info.reason || codeName(info.code), detail);
  }

  #end(code: number, reason: string, detail?: Partial<ConnectionEnd>): void {
    if (this.#phase === "ended") return;
    this.#release();
    this.#owner.onEnd(this, endOf(code, reason, detail));
  }

  #release(): void {
    this.#phase = "ended";
    this.#loginTimer.clear();
    this.#heartbeat?.stop();
    this.#outgoing = [];
    this.#socket?.close();
    this.#socket = undefined;
  }
}
