// SPDX-License-Identifier: Apache-2.0
import type { KeyedPaces } from "./keyed-paces.ts";
import type { ReadPaces } from "./read-limit.ts";

/** A login that is under way. */
export interface LoginTry {
  /** It ended, in whatever way; called once. `isRefused`: its token is no good. */
  end(isRefused: boolean, nowMs: number): void;
}

/** A login of which nobody keeps count. */
export const UNCOUNTED_LOGIN: LoginTry = { end: () => undefined };

/** Logins that failed or may fail, by address. */
export interface LoginTries {
  /** A login begins; or ms until this address may try again. */
  beginLogin(address: string, nowMs: number): LoginTry | number;
}

/** What clients may do at most; undefined: any amount. */
export interface ClientLimits {
  /** Of each session. */
  reads: ReadPaces;
  /** Messages of each user, over all sessions on this entry. */
  messages: KeyedPaces | undefined;
  tries: LoginTries | undefined;
}

export const NO_LIMITS: ClientLimits = {
  reads: { frames: undefined, bytes: undefined },
  messages: undefined,
  tries: undefined,
};
