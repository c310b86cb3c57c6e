// SPDX-License-Identifier: Apache-2.0
import { bigintArray, textArray } from "./binary-array.ts";
import type {
  AppState,
  DeviceActivity,
  DeviceLogout,
  DeviceProfile,
  DeviceRecord,
  IdentityStore,
  LoginInput,
  LoginRecord,
  RevocationPage,
  TokenFacts,
} from "./identity.ts";
import * as sql from "./identity-statements.ts";
import { PostgresLogins } from "./postgres-logins.ts";
import type { PostgresPool } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";
import type { TokenSeal } from "./token-seal.ts";

/** {@link IdentityStore} on PostgreSQL. */
export class PostgresIdentity implements IdentityStore {
  readonly #pool: PostgresPool;
  readonly #logins: PostgresLogins;
  readonly #seal: TokenSeal;

  constructor(pool: PostgresPool, seal: TokenSeal) {
    this.#pool = pool;
    this.#seal = seal;
    this.#logins = new PostgresLogins(pool);
  }

  login(login: LoginInput): Promise<LoginRecord> {
    return this.#logins.login(login);
  }

  async setDevice(profile: DeviceProfile): Promise<boolean> {
    const { userId, deviceId, pushProvider, pushToken, locale, appVersion, prefs } = profile;
    const values = [userId, deviceId, pushProvider, this.#seal.seal(pushToken), locale, appVersion, prefs];
    const [row] = await this.#pool.run(sql.SET_DEVICE, values);
    return row?.[0] === "t";
  }

  async logoutDevices(logouts: readonly DeviceLogout[]): Promise<void> {
    if (logouts.length === 0) return;
    await this.#pool.run(sql.LOGOUT_DEVICES, [
      textArray(logouts.map(({ userId }) => userId)),
      textArray(logouts.map(({ deviceId }) => deviceId)),
      bigintArray(logouts.map(({ loginSeq }) => loginSeq)),
    ]);
  }

  async noteActivity(notes: readonly DeviceActivity[]): Promise<void> {
    if (notes.length === 0) return;
    await this.#pool.run(sql.NOTE_ACTIVITY, [
      textArray(notes.map(({ userId }) => userId)),
      textArray(notes.map(({ deviceId }) => deviceId)),
      bigintArray(notes.map(({ agoMs }) => Math.round(agoMs))),
      textArray(notes.map(({ appState }) => appState)),
    ]);
  }

  async devicesOf(userIds: readonly string[]): Promise<DeviceRecord[]> {
    if (userIds.length === 0) return [];
    const rows = await this.#pool.run(sql.DEVICES_OF, [textArray(userIds)]);
    return rows.map((row) => ({
      userId: text(row, 0),
      deviceId: text(row, 1),
      deviceName: text(row, 2),
      platform: text(row, 3),
      appState: text(row, 4) as AppState,
      lastSeenMs: number(row, 5),
      loginAgoMs: number(row, 6),
    }));
  }

  async revokeUser(userId: string, validAfterMs = 0): Promise<void> {
    await this.#pool.run(sql.REVOKE_USER, [userId, validAfterMs]);
  }

  async revokeToken(tokenId: string, expiresAtMs: number): Promise<void> {
    await this.#pool.run(sql.REVOKE_TOKEN, [tokenId, expiresAtMs]);
  }

  async revocationVersion(): Promise<number> {
    const [row] = await this.#pool.run(sql.REVOCATION_VERSION, []);
    return number(row, 0);
  }

  async revocationsAfter(version: number, limit: number): Promise<RevocationPage> {
    const rows = await this.#pool.run(sql.REVOCATIONS_AFTER, [version, limit]);
    const last = rows.at(-1);
    return {
      version: last ? number(last, 0) : version,
      users: rows.flatMap((row) => (row[1] ? [{ userId: row[1], validAfterMs: number(row, 2) }] : [])),
      tokenIds: rows.flatMap((row) => (row[3] ? [row[3]] : [])),
    };
  }

  async findRevoked(tokens: readonly TokenFacts[]): Promise<number[]> {
    if (tokens.length === 0) return [];
    const rows = await this.#pool.run(sql.FIND_REVOKED, [
      textArray(tokens.map(({ userId }) => userId)),
      textArray(tokens.map(({ tokenId }) => tokenId)),
      bigintArray(tokens.map(({ issuedAtMs }) => issuedAtMs)),
    ]);
    return rows.map((row) => number(row, 0) - 1);
  }

  async pruneRevokedTokens(beforeMs: number): Promise<void> {
    await this.#pool.run(sql.PRUNE_REVOKED_TOKENS, [beforeMs]);
  }
}
