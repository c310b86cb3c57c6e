// SPDX-License-Identifier: Apache-2.0
import {
  type AppState,
  type DeviceActivity,
  type DeviceLogout,
  type DeviceProfile,
  type DeviceRecord,
  type IdentityStore,
  LOGIN_WINDOW_MS,
  type LoginInput,
  type LoginRecord,
  type RevocationPage,
  SEEN_STEP_MS,
  slotName,
  type TokenFacts,
} from "./identity.ts";

/** A row of the device table. */
export interface MemoryDevice {
  userId: string;
  deviceId: string;
  deviceName: string;
  slot: string;
  loginSeq: number;
  platform: string;
  appVersion: string;
  ackedSeq: number;
  pushProvider: string;
  pushToken: string;
  locale: string;
  prefs: string;
  appState: AppState;
  lastSeenMs: number;
  lastLoginMs: number;
}

/** What a login is told of the database. */
export interface LoginFacts {
  headOf: (userId: string) => number;
  epoch: () => string;
  /** Logins are numbered above it. */
  floor: () => number;
  onFirstLogin: (userId: string) => void;
}

interface SlotState {
  loginSeq: number;
  windowMs: number;
  windowLogins: number;
  refusedUntilMs: number;
  strikes: number;
}

const FOREVER_MS = Number.MAX_SAFE_INTEGER;
const FORGIVE_MS = 600_000;
const REFUSE_BASE_MS = 10_000;
const REFUSE_CAP_MS = 600_000;
const MAX_STRIKES = 6;

/** {@link IdentityStore} in maps: the model of the functions in migrations/. */
export class MemoryIdentity implements IdentityStore {
  readonly devices = new Map<string, MemoryDevice>();
  readonly #slots = new Map<string, SlotState>();
  readonly #validAfter = new Map<string, { validAfterMs: number; version: number }>();
  readonly #tokens = new Map<string, { expiresAtMs: number; version: number }>();
  readonly #facts: LoginFacts;
  #version = 0;

  constructor(facts: LoginFacts) {
    this.#facts = facts;
  }

  async login(login: LoginInput): Promise<LoginRecord> {
    const { userId, slot, deviceId, deviceName, platform, appVersion, atMs = Date.now() } = login;
    if (login.token && this.#isRevoked({ userId, ...login.token })) return { kind: "revoked" };
    const key = pair(userId, slot);
    const state = this.#slots.get(key) ?? NEW_SLOT();
    this.#slots.set(key, state);
    const retryAfterMs = refuse(state, atMs, login.loginsPerMinute ?? 0);
    if (retryAfterMs > 0) return { kind: "flapping", retryAfterMs };
    const given = this.#giveSlot(login);
    const { headOf, epoch, floor } = this.#facts;
    state.loginSeq = Math.max(state.loginSeq, floor()) + 1;
    const { loginSeq } = state;
    if (this.#isFirst(userId)) this.#facts.onFirstLogin(userId);
    const known = this.devices.get(pair(userId, deviceId));
    const ackedSeq = known?.ackedSeq ?? 0;
    this.devices.set(pair(userId, deviceId), {
      pushProvider: "",
      pushToken: "",
      locale: "",
      prefs: "",
      ...known,
      ...{ userId, deviceId, deviceName, slot: given, loginSeq, platform, appVersion, ackedSeq },
      appState: "foreground",
      lastSeenMs: atMs,
      lastLoginMs: Date.now(),
    });
    return { kind: "ok", loginSeq, slot: given, ackedSeq, inboxHead: headOf(userId), epoch: epoch() };
  }

  /** Ever; its devices may be gone since. */
  hasLoggedIn(userId: string): boolean {
    return [...this.#slots.keys()].some((key) => key.startsWith(pair(userId, "")));
  }

  #isFirst(userId: string): boolean {
    for (const device of this.devices.values()) if (device.userId === userId) return false;
    return true;
  }

  /** The slot the device holds; else a free one; else that of the oldest login. */
  #giveSlot({ userId, slot, deviceId, sessionsPerSlot = 1 }: LoginInput): string {
    let best: { name: string; rank: number } | undefined;
    for (let k = 0; k < sessionsPerSlot; k++) {
      const name = slotName(slot, k);
      const holder = this.#holderOf(userId, name);
      if (holder?.deviceId === deviceId) return name;
      const rank = holder?.loginSeq ?? -1;
      if (!best || rank < best.rank) best = { name, rank };
    }
    return best?.name ?? slot;
  }

  #holderOf(userId: string, slot: string): MemoryDevice | undefined {
    let holder: MemoryDevice | undefined;
    for (const device of this.devices.values()) {
      if (device.userId !== userId || device.slot !== slot) continue;
      if (!holder || device.loginSeq > holder.loginSeq) holder = device;
      else if (device.loginSeq === holder.loginSeq && device.deviceId < holder.deviceId) holder = device;
    }
    return holder;
  }

  async setDevice(profile: DeviceProfile): Promise<boolean> {
    const { userId, deviceId, pushToken, pushProvider, locale, prefs, appVersion } = profile;
    const device = this.devices.get(pair(userId, deviceId));
    if (!device) return false;
    for (const other of this.devices.values())
      if (pushToken !== "" && other !== device && other.pushToken === pushToken)
        Object.assign(other, { pushToken: "", pushProvider: "" });
    Object.assign(device, { pushToken, pushProvider, locale, prefs, appVersion: appVersion || device.appVersion });
    return true;
  }

  async logoutDevices(logouts: readonly DeviceLogout[]): Promise<void> {
    for (const { userId, deviceId, loginSeq } of logouts) {
      const device = this.devices.get(pair(userId, deviceId));
      if (device?.loginSeq !== loginSeq) continue;
      Object.assign(device, { pushToken: "", pushProvider: "", loginSeq: 0 });
    }
  }

  async noteActivity(notes: readonly DeviceActivity[]): Promise<void> {
    const nowMs = Date.now();
    for (const { userId, deviceId, agoMs, appState } of notes) {
      const device = this.devices.get(pair(userId, deviceId));
      if (!device) continue;
      if (!appState && device.lastSeenMs >= nowMs - agoMs - SEEN_STEP_MS) continue;
      device.lastSeenMs = Math.max(device.lastSeenMs, nowMs - agoMs);
      if (appState) device.appState = appState;
    }
  }

  async devicesOf(userIds: readonly string[]): Promise<DeviceRecord[]> {
    const wanted = new Set(userIds);
    return [...this.devices.values()]
      .filter((device) => wanted.has(device.userId))
      .map(({ userId, deviceId, deviceName, platform, appState, lastSeenMs, lastLoginMs }) => ({
        ...{ userId, deviceId, deviceName, platform, appState, lastSeenMs },
        loginAgoMs: Math.max(0, Date.now() - lastLoginMs),
      }));
  }

  async revokeUser(userId: string, validAfterMs = Date.now()): Promise<void> {
    const known = this.#validAfter.get(userId)?.validAfterMs ?? 0;
    if (validAfterMs > known) this.#validAfter.set(userId, { validAfterMs, version: ++this.#version });
  }

  /** No token is good, whenever it was issued. */
  ban(userId: string): void {
    if (this.#validAfter.get(userId)?.validAfterMs === FOREVER_MS) return;
    this.#validAfter.set(userId, { validAfterMs: FOREVER_MS, version: ++this.#version });
  }

  /** Tokens issued from `validAfterMs` on are good again. */
  lift(userId: string, validAfterMs: number): void {
    this.#validAfter.set(userId, { validAfterMs, version: ++this.#version });
  }

  forgetDevices(userId: string): void {
    for (const [key, device] of this.devices) if (device.userId === userId) this.devices.delete(key);
  }

  async revokeToken(tokenId: string, expiresAtMs: number): Promise<void> {
    if (!this.#tokens.has(tokenId)) this.#tokens.set(tokenId, { expiresAtMs, version: ++this.#version });
  }

  async revocationVersion(): Promise<number> {
    return this.#version;
  }

  async revocationsAfter(version: number, limit: number): Promise<RevocationPage> {
    const users = [...this.#validAfter].filter(([, entry]) => entry.version > version);
    const tokens = [...this.#tokens].filter(([, entry]) => entry.version > version);
    const versions = [...users, ...tokens].map(([, entry]) => entry.version).sort((a, b) => a - b);
    const upTo = versions[Math.min(limit, versions.length) - 1] ?? version;
    return {
      version: upTo,
      users: users.flatMap(([userId, entry]) =>
        entry.version <= upTo ? [{ userId, validAfterMs: entry.validAfterMs }] : [],
      ),
      tokenIds: tokens.flatMap(([tokenId, entry]) => (entry.version <= upTo ? [tokenId] : [])),
    };
  }

  async findRevoked(tokens: readonly TokenFacts[]): Promise<number[]> {
    return tokens.flatMap((facts, at) => (this.#isRevoked(facts) ? [at] : []));
  }

  async pruneRevokedTokens(beforeMs: number): Promise<void> {
    for (const [tokenId, { expiresAtMs }] of this.#tokens) if (expiresAtMs < beforeMs) this.#tokens.delete(tokenId);
  }

  #isRevoked({ userId, tokenId, issuedAtMs }: TokenFacts): boolean {
    return this.#tokens.has(tokenId) || (this.#validAfter.get(userId)?.validAfterMs ?? 0) > issuedAtMs;
  }
}

const NEW_SLOT = (): SlotState => ({ loginSeq: 0, windowMs: 0, windowLogins: 0, refusedUntilMs: 0, strikes: 0 });

/** Counts one login; how long it is refused, 0 = it is not. */
function refuse(state: SlotState, atMs: number, limit: number): number {
  if (limit > 0 && atMs < state.refusedUntilMs) return state.refusedUntilMs - atMs;
  if (Math.abs(atMs - state.windowMs) >= LOGIN_WINDOW_MS) {
    state.windowMs = atMs;
    state.windowLogins = 0;
    if (atMs - state.refusedUntilMs >= FORGIVE_MS) state.strikes = 0;
  }
  if (limit > 0 && state.windowLogins >= limit) {
    const retryAfterMs = Math.min(REFUSE_BASE_MS * 2 ** state.strikes, REFUSE_CAP_MS);
    state.windowMs = atMs;
    state.windowLogins = 0;
    state.refusedUntilMs = atMs + retryAfterMs;
    state.strikes = Math.min(state.strikes + 1, MAX_STRIKES);
    return retryAfterMs;
  }
  state.windowLogins++;
  return 0;
}

/** Map key of two ids; ids contain no NUL. */
function pair(first: string, second: string): string {
  return `${first}\0${second}`;
}
