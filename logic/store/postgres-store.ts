// SPDX-License-Identifier: Apache-2.0

import { Backoff } from "#lib/backoff.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Deaths } from "../router/purge-guard.ts";
import { bigintArray, textArray } from "./binary-array.ts";
import { highestAcks } from "./highest-acks.ts";
import type {
  DeviceActivity,
  DeviceLogout,
  DeviceProfile,
  DeviceRecord,
  LoginInput,
  LoginRecord,
  RevocationPage,
  TokenFacts,
} from "./identity.ts";
import { PostgresAppender } from "./postgres-append.ts";
import { PostgresBlocks } from "./postgres-blocks.ts";
import { PostgresBroadcasts } from "./postgres-broadcasts.ts";
import { PostgresChanges } from "./postgres-changes.ts";
import { PostgresConversations } from "./postgres-conversations.ts";
import { sqlState } from "./postgres-errors.ts";
import { PostgresExports } from "./postgres-exports.ts";
import { PostgresGovernance } from "./postgres-governance.ts";
import { PostgresGroups } from "./postgres-groups.ts";
import { PostgresHooks } from "./postgres-hooks.ts";
import { PostgresIdentity } from "./postgres-identity.ts";
import { PostgresMutes } from "./postgres-mutes.ts";
import { PostgresPolicy } from "./postgres-policy.ts";
import { PostgresPool, type QueryObserver } from "./postgres-pool.ts";
import { PostgresPushStore } from "./postgres-push.ts";
import { PostgresPushLedger } from "./postgres-push-ledger.ts";
import { readHeads, readHistory, readInbox, readInboxInto } from "./postgres-read.ts";
import { PostgresRetention } from "./postgres-retention.ts";
import { PostgresServerApi } from "./postgres-server-api.ts";
import { PostgresTraces } from "./postgres-traces.ts";
import { number, text } from "./rows.ts";
import * as sql from "./statements.ts";
import {
  type AppendInput,
  type AppendResult,
  type BeginPage,
  type DeviceAck,
  type EntryStart,
  type EntryState,
  FORGOTTEN_MS,
  type HeadsPage,
  type HeadsRequest,
  type HistoryPage,
  type HistoryRequest,
  type InboxHeads,
  type InboxPage,
  type InboxRequest,
  OtherEpochError,
  type PageEnd,
  type PeerConversation,
  type PushTarget,
  type Store,
} from "./store.ts";
import { PLAIN_TOKENS, type TokenSeal } from "./token-seal.ts";

const WAIT_TIMEOUT_MS = 2000;
const MAX_WAITING = 500;
const UNDEFINED_TABLE = "42P01";

/** Options of {@link openPostgresStore}. */
export interface PostgresStoreOptions {
  url: string;
  /** Connections for append: as many transactions commit at the same time. Default 4. */
  appendConnections?: number;
  /** Connections for everything else. Default 4. */
  connections?: number;
  /** How long to wait at start for a server that is away or not migrated yet. Default 30 000. */
  startTimeoutMs?: number;
  /** application_name. Default `imcluster`. */
  name?: string;
  observe?: QueryObserver;
  onIdleError?: (error: Error) => void;
  /** Of push tokens. Default: none, they are stored as they are. */
  tokenSeal?: TokenSeal;
}

/**
 * Connects, waiting for the server and its schema.
 * @throws {ImError} RETRYABLE when they did not come up in time
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<PostgresStore> {
  const name = options.name ?? "imcluster";
  const common = { url: options.url, maxWaiting: MAX_WAITING, waitTimeoutMs: WAIT_TIMEOUT_MS };
  // One that is lost tells about all: a server that takes no commits any more, as its standby was promoted, may still read.
  const onLost = (): void => {
    for (const pool of Object.values(pools)) pool.renew();
  };
  const hooks = { observe: options.observe, onIdleError: options.onIdleError, onLost };
  const pools: Record<"append" | "rest", PostgresPool> = {
    append: new PostgresPool({
      ...common,
      ...hooks,
      name: `${name}-append`,
      connections: options.appendConnections ?? 4,
    }),
    rest: new PostgresPool({ ...common, ...hooks, name, connections: options.connections ?? 4 }),
  };
  try {
    const epoch = await readEpoch(pools.rest, options.startTimeoutMs ?? 30_000);
    return new PostgresStore(pools, epoch, options.tokenSeal ?? PLAIN_TOKENS);
  } catch (error) {
    await Promise.all([pools.append.close(), pools.rest.close()]);
    throw error;
  }
}

async function readEpoch(pool: PostgresPool, timeoutMs: number): Promise<string> {
  const deadlineMs = performance.now() + timeoutMs;
  const backoff = new Backoff({ baseMs: 100, capMs: 1000 });
  for (;;) {
    try {
      return text((await pool.run(sql.READ_EPOCH, []))[0], 0);
    } catch (error) {
      const pauseMs = backoff.next();
      const unmigrated = error instanceof ImError && sqlState(error.cause) === UNDEFINED_TABLE;
      const mayPass = unmigrated || (error instanceof ImError && error.retryable);
      if (mayPass && performance.now() + pauseMs < deadlineMs) {
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      } else if (unmigrated) {
        throw new ImError(ErrorCode.RETRYABLE, "the database has no schema: run logic/migrate.ts", { cause: error });
      } else {
        throw error;
      }
    }
  }
}

/** Connections by state of the two pools, for gauges. */
export type PoolStates = Record<"append" | "rest", PostgresPool["state"]>;

/** {@link Store} on PostgreSQL 15 or newer; see migrations/ for the schema. Made by {@link openPostgresStore}. */
export class PostgresStore implements Store {
  readonly hooks: PostgresHooks;
  readonly pushes: PostgresPushLedger;
  readonly conversations: PostgresConversations;
  readonly traces: PostgresTraces;
  readonly serverApi: PostgresServerApi;
  readonly broadcasts: PostgresBroadcasts;
  readonly exports: PostgresExports;
  readonly changes: PostgresChanges;
  readonly retention: PostgresRetention;
  readonly governance: PostgresGovernance;
  readonly mutes: PostgresMutes;
  readonly epoch: string;
  /** As the last ping said. */
  #seenEpoch: string;
  readonly #pools: Record<"append" | "rest", PostgresPool>;
  readonly #appender: PostgresAppender;
  readonly pushStore: PostgresPushStore;
  readonly groups: PostgresGroups;
  readonly blocks: PostgresBlocks;
  readonly policy: PostgresPolicy;
  readonly #identity: PostgresIdentity;
  readonly #seal: TokenSeal;

  constructor(pools: Record<"append" | "rest", PostgresPool>, epoch: string, seal: TokenSeal) {
    this.#pools = pools;
    this.#seal = seal;
    this.epoch = epoch;
    this.#seenEpoch = epoch;
    this.hooks = new PostgresHooks(pools.rest);
    this.#appender = new PostgresAppender(pools.append, this.hooks);
    this.pushes = new PostgresPushLedger(pools.rest);
    this.conversations = new PostgresConversations(pools.rest);
    this.traces = new PostgresTraces(pools.rest);
    this.serverApi = new PostgresServerApi(pools.rest);
    this.changes = new PostgresChanges(pools.append, pools.rest, this.hooks);
    this.broadcasts = new PostgresBroadcasts(pools.rest);
    this.exports = new PostgresExports(pools.rest);
    this.retention = new PostgresRetention(pools.rest);
    this.governance = new PostgresGovernance(pools.rest);
    this.mutes = new PostgresMutes(pools.rest);
    this.pushStore = new PostgresPushStore(pools.rest);
    this.blocks = new PostgresBlocks(pools.rest);
    this.groups = new PostgresGroups(pools.rest, this.hooks);
    this.policy = new PostgresPolicy(pools.rest);
    this.#identity = new PostgresIdentity(pools.rest, seal);
  }

  get pools(): PoolStates {
    return { append: this.#pools.append.state, rest: this.#pools.rest.state };
  }

  async registerEntry(entry: { podUid: string; podName: string; version: string }): Promise<{ incarnation: string }> {
    const rows = await this.#pools.rest.run(sql.REGISTER_ENTRY, [entry.podUid, entry.podName, entry.version]);
    return { incarnation: text(rows[0], 0) };
  }

  async entryState(incarnation: string): Promise<EntryState> {
    const [row] = await this.#pools.rest.run(sql.ENTRY_STATE, [incarnation]);
    if (!row) return "unknown";
    return row[0] === "t" ? "dead" : "live";
  }

  async entryDeaths(podUid: string, windowMs: number): Promise<Deaths> {
    const [row] = await this.#pools.rest.run(sql.ENTRY_DEATHS, [podUid, windowMs]);
    return { known: Number(row?.[0]), recent: Number(row?.[1]), isDead: row?.[2] === "t" };
  }

  async fenceEntries(podUid: string): Promise<string[]> {
    const rows = await this.#pools.rest.run(sql.FENCE_ENTRIES, [podUid]);
    return rows.map((row) => text(row, 0));
  }

  async entryStarts(cursor: string, limit: number): Promise<EntryStart[]> {
    const rows = await this.#pools.rest.run(sql.ENTRY_STARTS, [cursor, FORGOTTEN_MS, limit]);
    return rows.map((row) => ({
      ...{ incarnation: text(row, 0), podUid: text(row, 1) },
      ...{ isDead: row[2] === "t", ageMs: Number(row[3]) },
    }));
  }

  async fenceIncarnation(incarnation: string): Promise<void> {
    await this.#pools.rest.run(sql.FENCE_INCARNATION, [incarnation]);
  }

  login(login: LoginInput): Promise<LoginRecord> {
    return this.#identity.login(login);
  }

  setDevice(profile: DeviceProfile): Promise<boolean> {
    return this.#identity.setDevice(profile);
  }

  logoutDevices(logouts: readonly DeviceLogout[]): Promise<void> {
    return this.#identity.logoutDevices(logouts);
  }

  noteActivity(notes: readonly DeviceActivity[]): Promise<void> {
    return this.#identity.noteActivity(notes);
  }

  devicesOf(userIds: readonly string[]): Promise<DeviceRecord[]> {
    return this.#identity.devicesOf(userIds);
  }

  revokeUser(userId: string, validAfterMs: number): Promise<void> {
    return this.#identity.revokeUser(userId, validAfterMs);
  }

  revokeToken(tokenId: string, expiresAtMs: number): Promise<void> {
    return this.#identity.revokeToken(tokenId, expiresAtMs);
  }

  revocationVersion(): Promise<number> {
    return this.#identity.revocationVersion();
  }

  revocationsAfter(version: number, limit: number): Promise<RevocationPage> {
    return this.#identity.revocationsAfter(version, limit);
  }

  findRevoked(tokens: readonly TokenFacts[]): Promise<number[]> {
    return this.#identity.findRevoked(tokens);
  }

  pruneRevokedTokens(beforeMs: number): Promise<void> {
    return this.#identity.pruneRevokedTokens(beforeMs);
  }

  /** Makes a conversation, or adds members to it. */
  async createConversation(conversationId: string, memberIds: readonly string[]): Promise<void> {
    if (memberIds.length === 0) return;
    await this.#pools.rest.run(sql.CREATE_CONVERSATION, [conversationId, textArray(memberIds)]);
  }

  /** What an operator does who has restored an older state: positions from before mean nothing any more. */
  async changeEpoch(epoch: string): Promise<void> {
    await this.#pools.rest.run(sql.CHANGE_EPOCH, [epoch]);
  }

  append(batch: readonly AppendInput[], epoch?: string): Promise<AppendResult[]> {
    return this.#appender.append(batch, epoch);
  }

  readInbox(request: InboxRequest): Promise<InboxPage> {
    return readInbox(this.#pools.rest, request);
  }

  readInboxInto(request: InboxRequest, begin: BeginPage): Promise<PageEnd> {
    return readInboxInto(this.#pools.rest, request, begin);
  }

  readHistory(request: HistoryRequest): Promise<HistoryPage | undefined> {
    return readHistory(this.#pools.rest, request);
  }

  readHeads(request: HeadsRequest): Promise<HeadsPage> {
    return readHeads(this.#pools.rest, request);
  }

  async inboxHeads(userIds: readonly string[]): Promise<InboxHeads> {
    const heads = new Map<string, number>(userIds.map((userId) => [userId, 0]));
    const [first, ...rows] = await this.#pools.rest.run(sql.INBOX_HEADS, [textArray(userIds)]);
    const epoch = text(first, 0);
    for (const row of rows) heads.set(text(row, 0), number(row, 1));
    return { epoch, heads };
  }

  async advanceAcks(acks: readonly DeviceAck[], epoch?: string): Promise<void> {
    if (acks.length === 0) return;
    const highest = highestAcks(acks);
    const [row] = await this.#pools.rest.run(sql.ADVANCE_ACKS, [
      textArray(highest.map((ack) => ack.userId)),
      textArray(highest.map((ack) => ack.deviceId)),
      bigintArray(highest.map((ack) => Math.min(ack.inboxSeq, Number.MAX_SAFE_INTEGER))),
      epoch ?? null,
    ]);
    if (row?.[0] !== "t") throw new OtherEpochError("acknowledgements");
  }

  async visiblePeers(userId: string, peers: readonly PeerConversation[]): Promise<string[]> {
    if (peers.length === 0) return [];
    const rows = await this.#pools.rest.run(sql.VISIBLE_PEERS, [
      userId,
      textArray(peers.map(({ peerId }) => peerId)),
      textArray(peers.map(({ conversationId }) => conversationId)),
    ]);
    return rows.map((row) => text(row, 0));
  }

  async pushTargets(userIds: readonly string[]): Promise<PushTarget[]> {
    if (userIds.length === 0) return [];
    const rows = await this.#pools.rest.run(sql.PUSH_TARGETS, [textArray(userIds)]);
    return rows.map((row) => ({
      userId: text(row, 0),
      deviceId: text(row, 1),
      slot: text(row, 2),
      platform: text(row, 3),
      ackedSeq: number(row, 4),
      pushProvider: text(row, 5),
      pushToken: this.#seal.open(text(row, 6)),
    }));
  }

  async ping(): Promise<string> {
    const [row] = await this.#pools.rest.run(sql.PING, []);
    const epoch = text(row, 1);
    if (epoch !== this.#seenEpoch) {
      this.#seenEpoch = epoch;
      // Some connections may lead to a server whose place another one has taken.
      for (const pool of Object.values(this.#pools)) pool.renew();
    }
    if (row?.[0] !== "f") throw new ImError(ErrorCode.RETRYABLE, "the database is read-only");
    return epoch;
  }

  async close(): Promise<void> {
    await Promise.all([this.#pools.append.close(), this.#pools.rest.close()]);
  }
}
