// SPDX-License-Identifier: Apache-2.0

/** Logins, devices and revocations: the part of {@link Store} that knows who somebody is. */
export interface IdentityStore {
  /**
   * Decides and records a login, one after the other per (user, class): refuses a revoked token and logins that come
   * too often; else gives it a slot. `loginSeq` grows with every login of the same (user, class).
   */
  login(login: LoginInput): Promise<LoginRecord>;

  /** Replaces what the device told about itself; its push token leaves any other device. False: no such device. */
  setDevice(profile: DeviceProfile): Promise<boolean>;
  /** Explicit logouts: unbinds the push tokens, unless the device has logged in again since. May be repeated. */
  logoutDevices(logouts: readonly DeviceLogout[]): Promise<void>;
  /** Moves last-seen times forward, by {@link SEEN_STEP_MS} or more, and sets app states; unknown devices are ignored. */
  noteActivity(notes: readonly DeviceActivity[]): Promise<void>;
  /** Every device of the users, for presence. */
  devicesOf(userIds: readonly string[]): Promise<DeviceRecord[]>;

  /** Tokens of the user issued before this time are refused from now on; never moves back. Default: the store's time. */
  revokeUser(userId: string, validAfterMs?: number): Promise<void>;
  /** The token with this `jti` is refused from now on. `expiresAtMs`: when it runs out by itself. */
  revokeToken(tokenId: string, expiresAtMs: number): Promise<void>;
  /** Newest version of the revocations; it grows with each of them, in commit order. */
  revocationVersion(): Promise<number>;
  /** At least the next `limit` revocations after `version`, oldest first. */
  revocationsAfter(version: number, limit: number): Promise<RevocationPage>;
  /** Indexes of those tokens that are revoked. */
  findRevoked(tokens: readonly TokenFacts[]): Promise<number[]>;
  /** Forgets revoked tokens that ran out before this time. */
  pruneRevokedTokens(beforeMs: number): Promise<void>;
}

/** What a session keeps of its token. */
export interface TokenFacts {
  userId: string;
  /** Claim `jti`; "" when the token has none. */
  tokenId: string;
  /** Claim `iat`; 0 when the token has none, so that any revocation of the user hits it. */
  issuedAtMs: number;
}

export interface LoginInput {
  userId: string;
  /** Platform class: mobile, web, desktop, mini. */
  slot: string;
  deviceId: string;
  deviceName: string;
  platform: string;
  appVersion: string;
  /** Sessions the class may have at the same time. Default 1. */
  sessionsPerSlot?: number;
  /** Wall clock, ms since the epoch. Default: that of the store, for the clocks of its callers may differ by hours. */
  atMs?: number;
  /** Logins per minute and (user, class); more are refused for a growing time. Default 0 = any number. */
  loginsPerMinute?: number;
  /** Default: a token that no revocation hits. */
  token?: Omit<TokenFacts, "userId">;
}

export type LoginRecord =
  | {
      kind: "ok";
      loginSeq: number;
      /** `<class>`, or `<class>#<k>` for the further sessions of a class. */
      slot: string;
      /** Highest inbox seq this device has acknowledged, 0 for a new one. */
      ackedSeq: number;
      /** Highest inbox seq of the user, 0 when there is none. */
      inboxHead: number;
      /** Inbox epoch that both are of. */
      epoch: string;
    }
  | { kind: "revoked" }
  | { kind: "flapping"; retryAfterMs: number };

/** Last-seen times are no finer than this: what would move one by less is not written. */
export const SEEN_STEP_MS = 5000;

/** App in front of a person, or not. */
export type AppState = "foreground" | "background";

export interface DeviceProfile {
  userId: string;
  deviceId: string;
  /** "" = no push. */
  pushProvider: string;
  /** "" = no push. */
  pushToken: string;
  /** BCP 47, or "". */
  locale: string;
  /** "" keeps what HELLO said. */
  appVersion: string;
  /** JSON object, or "". */
  prefs: string;
}

export interface DeviceLogout {
  userId: string;
  deviceId: string;
  /** Of the session that logged out. */
  loginSeq: number;
}

export interface DeviceActivity {
  userId: string;
  deviceId: string;
  /** How long ago it was there: the clocks of the store's callers may differ by hours. */
  agoMs: number;
  /** Left out: unchanged. */
  appState?: AppState;
}

export interface DeviceRecord {
  userId: string;
  deviceId: string;
  deviceName: string;
  platform: string;
  appState: AppState;
  lastSeenMs: number;
  /** Since its last login, by the store's clock. */
  loginAgoMs: number;
}

export interface RevocationPage {
  /** Of the last one in the page, or the version asked for when there is none. */
  version: number;
  users: { userId: string; validAfterMs: number }[];
  tokenIds: string[];
}

/** Length of the window in which logins are counted. */
export const LOGIN_WINDOW_MS = 60_000;

/** Class of a slot: `mobile` of `mobile#2`. */
export function classOf(slot: string): string {
  const at = slot.indexOf("#");
  return at < 0 ? slot : slot.slice(0, at);
}

/** Name of the `k`-th slot of a class. */
export function slotName(platformClass: string, k: number): string {
  return k === 0 ? platformClass : `${platformClass}#${k}`;
}
