// SPDX-License-Identifier: Apache-2.0
// A client that logs in, pings and moves when it is asked to: as little memory and CPU as that takes, for tens of thousands.
import { Command } from "#proto/commands.ts";
import { ErrorInfo, Goaway, Hello } from "#proto/gen/messages.ts";
import { dial, type HeldLink, type HeldTarget, type LinkOwner } from "./held-link.ts";
import { frameOf } from "./wire.ts";

/** What a client tells. */
export interface HeldEvents<M = HeldClient> {
  /** It is logged in on a new connection; the one before, if any, is closed. */
  onWelcome(client: M): void;
  /** A login came to nothing. `retryAfterMs`: as the server asks, or 0. */
  onRefused(client: M, reason: string, retryAfterMs: number): void;
  /** The entry asks to move, between these delays. */
  onGoaway(client: M, minDelayMs: number, maxDelayMs: number): void;
  /** The connection ended, by whomever. */
  onClosed(client: M): void;
  /** A broadcast came. */
  onBroadcast(client: M): void;
}

const PING = frameOf(Command.PING, 1, new Uint8Array(0));
const DEVICE = { deviceId: "held", platform: "android", deviceName: "held", firstPageBytes: 1 };

/** One user's connection. */
export class HeldClient implements LinkOwner {
  readonly userId: string;
  /** Logins that came to nothing, since the last one that did not. */
  failures = 0;
  readonly #hello: Buffer;
  readonly #target: HeldTarget;
  readonly #events: HeldEvents;
  /** Logged in. */
  #link: HeldLink | undefined;
  /** On its way. */
  #next: HeldLink | undefined;

  constructor(userId: string, token: string, target: HeldTarget, events: HeldEvents) {
    this.userId = userId;
    this.#hello = frameOf(Command.HELLO, 1, Hello.encode({ protoMin: 1, protoMax: 1, token, ...DEVICE }));
    this.#target = target;
    this.#events = events;
  }

  /** Dials; onWelcome or onRefused follows, or nothing while nobody answers. */
  logIn(port: number): void {
    this.#next = dial(port, this.#target, this);
  }

  /** The login under way takes too long. */
  giveUp(): void {
    const link = this.#next;
    if (link) this.#refused(link, "no WELCOME in time", 0);
  }

  ping(): void {
    this.#link?.write(PING);
  }

  onOpen(link: HeldLink): void {
    link.write(this.#hello);
  }

  onFrame(link: HeldLink, cmd: number, body: Buffer): void {
    if (link === this.#next) this.#onFirstFrame(link, cmd, body);
    else if (link === this.#link && cmd === Command.SYS_PAGE) this.#events.onBroadcast(this);
    else if (link === this.#link && cmd === Command.GOAWAY) {
      const { minDelayMs, maxDelayMs } = Goaway.decode(body);
      this.#events.onGoaway(this, minDelayMs, maxDelayMs);
    }
  }

  #onFirstFrame(link: HeldLink, cmd: number, body: Buffer): void {
    if (cmd !== Command.WELCOME) {
      const { reason, retryAfterMs } =
        cmd === Command.ERROR ? ErrorInfo.decode(body) : { reason: `command ${cmd}`, retryAfterMs: 0 };
      this.#refused(link, reason, retryAfterMs);
      return;
    }
    const before = this.#link;
    this.#link = link;
    this.#next = undefined;
    before?.close();
    this.failures = 0;
    this.#events.onWelcome(this);
  }

  onClose(link: HeldLink): void {
    if (link === this.#next) this.#refused(link, "closed by the server", 0);
    else if (link === this.#link) {
      this.#link = undefined;
      this.#events.onClosed(this);
    }
  }

  #refused(link: HeldLink, reason: string, retryAfterMs: number): void {
    this.#next = undefined;
    link.close();
    this.failures++;
    this.#events.onRefused(this, reason, retryAfterMs);
  }
}
