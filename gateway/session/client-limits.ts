// SPDX-License-Identifier: Apache-2.0
import type { KeyedPaces } from "./keyed-paces.ts";
import type { ReadPaces } from "./read-limit.ts";

/** Logins that failed, by address. */
export interface LoginTries {
  /** Ms until this address may try again; 0: now. */
  loginWaitMs(address: string, nowMs: number): number;
  loginFailed(address: string, nowMs: number): void;
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
