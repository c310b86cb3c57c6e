// SPDX-License-Identifier: Apache-2.0
import { Timer } from "./clock.ts";
import { AppState, Device, type Envelope, type ErrorInfo, Reauth, ReauthOk } from "./codec.ts";
import { Command, ErrorCode } from "./codes.ts";
import { type ImClientError, refusalOf } from "./errors.ts";
import type { Settings } from "./options.ts";
import { TokenSource } from "./token-source.ts";

/** What the device tells about itself; replaces what it told before. */
export interface DeviceProfile {
  /** Where pushes for this device go, e.g. `{ provider: "fcm", token }`. Left out: nowhere. */
  push?: { provider: string; token: string };
  /** Language tag, e.g. `zh-CN`. */
  locale?: string;
  /** Default: the one given to the client. */
  appVersion?: string;
  /** Whatever your push templates and policies look at; at most 4 KiB as JSON. */
  prefs?: Readonly<Record<string, unknown>>;
}

/** What {@link Identity} needs. */
export interface IdentityOwner {
  /** False: there is no connection. */
  write(cmd: number, body: Uint8Array, rid: number): boolean;
  nextRid(): number;
  /** The next login uses this token. */
  onToken(token: string): void;
  onError(error: ImClientError): void;
}

/** A token is renewed this long before it runs out, or at 4/5 of its life when that is later. */
const RENEW_BEFORE_MS = 60_000;
const RETRY_MS = 5_000;

interface Waiter {
  resolve: () => void;
  reject: (error: Error) => void;
}

/** The session's token, renewed before it runs out; the device's profile and the app's state, told until they arrived. */
export class Identity {
  readonly #owner: IdentityOwner;
  readonly #settings: Settings;
  readonly #tokens: TokenSource;
  readonly #renewTimer: Timer;
  readonly #deviceTimer: Timer;
  #isOpen = false;
  #reauth: { rid: number; token: string } | undefined;
  #device: { body: Uint8Array; rid: number; waiters: Waiter[] } | undefined;
  #isBackground = false;

  constructor(owner: IdentityOwner, settings: Settings) {
    this.#owner = owner;
    this.#settings = settings;
    this.#tokens = new TokenSource(settings);
    this.#renewTimer = new Timer(settings.clock);
    this.#deviceTimer = new Timer(settings.clock);
  }

  /** Logged in, with a token that lasts `tokenTtlMs` yet; 0 = the server does not say. */
  opened(tokenTtlMs: number): void {
    this.closed();
    this.#isOpen = true;
    this.#schedule(tokenTtlMs);
    // A login counts as a person in front of the app.
    if (this.#isBackground) this.#sendAppState();
    this.#sendDevice();
  }

  /** No connection any more. */
  closed(): void {
    this.#isOpen = false;
    this.#tokens.cancel();
    this.#reauth = undefined;
    if (this.#device) this.#device.rid = 0;
    this.#renewTimer.clear();
    this.#deviceTimer.clear();
  }

  /** The client is closed: nothing that waits will happen. */
  stop(error: Error): void {
    this.closed();
    for (const { reject } of this.#device?.waiters ?? []) reject(error);
    this.#device = undefined;
  }

  setDevice(profile: DeviceProfile): Promise<void> {
    const { push, locale = "", appVersion = this.#settings.appVersion, prefs } = profile;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const body = Device.encode({
      pushProvider: push?.provider ?? "",
      pushToken: push?.token ?? "",
      locale,
      appVersion,
      prefs: prefs === undefined ? "" : JSON.stringify(prefs),
    });
    // What was told before is replaced: whoever waits for it waits for this.
    this.#device = { body, rid: 0, waiters: [...(this.#device?.waiters ?? []), { resolve, reject }] };
    this.#sendDevice();
    return promise;
  }

  setBackground(isBackground: boolean): void {
    if (isBackground === this.#isBackground) return;
    this.#isBackground = isBackground;
    this.#sendAppState();
  }

  /** True: the frame was an answer to a command from here. */
  frame({ cmd, rid, body }: Envelope): boolean {
    if (cmd === Command.REAUTH && rid === this.#reauth?.rid) {
      this.#owner.onToken(this.#reauth.token);
      this.#reauth = undefined;
      this.#schedule(ReauthOk.decode(body).tokenTtlMs);
    } else if (cmd === Command.DEVICE && this.#device !== undefined && rid === this.#device.rid) {
      for (const { resolve } of this.#device.waiters) resolve();
      this.#device = undefined;
    } else {
      return cmd === Command.REAUTH || cmd === Command.DEVICE;
    }
    return true;
  }

  /** True: the request was one from here. */
  refused(rid: number, info: ErrorInfo): boolean {
    if (rid === this.#reauth?.rid) {
      this.#reauth = undefined;
      // An older server: it will close the session when the token runs out.
      if (info.code === ErrorCode.UNKNOWN_COMMAND) return true;
      this.#renewalFailed(refusalOf({ ...info, retryable: true }));
      return true;
    }
    if (this.#device === undefined || rid !== this.#device.rid) return false;
    this.#device.rid = 0;
    if (info.retryable) {
      this.#deviceTimer.set(Math.max(info.retryAfterMs, RETRY_MS), () => this.#sendDevice());
      return true;
    }
    const { waiters } = this.#device;
    this.#device = undefined;
    for (const { reject } of waiters) reject(refusalOf(info));
    return true;
  }

  /** A server lost what it was asked: asks again. */
  retry(): void {
    if (this.#device) this.#device.rid = 0;
    this.#sendDevice();
    if (this.#reauth) this.#sendReauth(this.#reauth.token);
  }

  #sendDevice(): void {
    if (!this.#isOpen || this.#device === undefined || this.#device.rid !== 0) return;
    this.#device.rid = this.#owner.nextRid();
    this.#owner.write(Command.DEVICE, this.#device.body, this.#device.rid);
  }

  #sendAppState(): void {
    if (this.#isOpen) this.#owner.write(Command.APP_STATE, AppState.encode({ state: this.#isBackground ? 2 : 1 }), 0);
  }

  #schedule(ttlMs: number): void {
    if (ttlMs > 0) this.#renewIn(Math.max(ttlMs - RENEW_BEFORE_MS, ttlMs * 0.8));
  }

  #renewIn(delayMs: number): void {
    const renew = (): void =>
      void this.#tokens.fetch(
        (token) => this.#sendReauth(token),
        (error) => this.#renewalFailed(error),
      );
    this.#renewTimer.set(delayMs, renew);
  }

  #sendReauth(token: string): void {
    const rid = this.#owner.nextRid();
    this.#reauth = { rid, token };
    this.#owner.write(Command.REAUTH, Reauth.encode({ token }), rid);
  }

  /** The session goes on with its old token; when that runs out the server closes it, and a login needs a fresh one. */
  #renewalFailed(error: ImClientError): void {
    this.#owner.onError(error);
    this.#renewIn(Math.max(error.retryAfterMs, RETRY_MS));
  }
}
