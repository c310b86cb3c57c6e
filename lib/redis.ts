// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import type { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { TLSSocket } from "node:tls";
import { type RedisOptions as IoRedisOptions, Redis } from "ioredis";
import { ErrorCode, ImError } from "./errors.ts";
import { ClusterClient, type NodeConnection } from "./redis-cluster.ts";
import { parseRedisUrl, type RedisTarget } from "./redis-url.ts";

export type { Redis } from "ioredis";

/** One server, the master that sentinels name, or a Cluster: what {@link connectRedis} gives and {@link runPipeline} takes. */
export type RedisClient = Redis | ClusterClient;

const RECONNECT_BASE_MS = 50;
const RECONNECT_CAP_MS = 2000;
const CONNECT_TIMEOUT_MS = 3000;
/** A sentinel that does not answer: the next one is asked. */
const SENTINEL_TIMEOUT_MS = 1000;

/** Options of {@link connectRedis}. */
export interface RedisOptions {
  /** Connection name, shown by CLIENT LIST. */
  name: string;
  /** Deadline of {@link runPipeline} in ms. Longer than BLOCK for a blocking reader. Default 500. */
  commandTimeoutMs?: number;
  /** Called once per connection error; the client keeps reconnecting by itself. */
  onError?: (error: Error) => void;
}

const DEFAULT_TIMEOUT_MS = 500;
const timeouts = new WeakMap<Redis, number>();

/**
 * A client that fails fast and never gives up, whatever the URL names (see {@link parseRedisUrl}): no offline queue (a
 * command without a connection rejects at once), nothing is sent twice behind the caller's back, a master that lost
 * its role (READONLY) causes a reconnect, and reconnects back off from 50 ms to 2 s with jitter for ever. Returns
 * before the first connection is up. Call it through {@link runPipeline}, which has the deadline.
 * @throws {ImError} BAD_REQUEST on a bad URL
 */
export function connectRedis(url: string, options: RedisOptions): RedisClient {
  const target = parseRedisUrl(url);
  if (target.mode !== "cluster") return openServer(target, options);
  const timeoutMs = options.commandTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  return new ClusterClient({
    seeds: target.nodes.map(({ host, port }) => `${host}:${port}`),
    open: (address) => openNode(target, address, options),
    timeoutMs,
  });
}

/** {@link connectRedis} for one server or a master behind sentinels. @throws {ImError} BAD_REQUEST for a Cluster */
export function createRedis(url: string, options: RedisOptions): Redis {
  const target = parseRedisUrl(url);
  if (target.mode !== "cluster") return openServer(target, options);
  throw new ImError(ErrorCode.BAD_REQUEST, "this part needs a single Redis: name no Cluster");
}

/** Do pipelines keep their order across all keys? In a Cluster they do so among keys of one hash tag only. */
export function isOrdered(client: RedisClient): boolean {
  return !(client instanceof ClusterClient);
}

function openServer(target: RedisTarget, options: RedisOptions): Redis {
  const { mode, nodes, group, isTls, sentinelUsername, sentinelPassword } = target;
  const [first] = nodes;
  if (mode !== "sentinel")
    return openRedis({ ...baseOptions(target, options), host: first?.host, port: first?.port }, options);
  const settings: IoRedisOptions = {
    ...baseOptions(target, options),
    sentinels: nodes.map(({ host, port }) => ({ host, port })),
    name: group,
    sentinelUsername,
    sentinelPassword,
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    sentinelRetryStrategy: reconnectDelayMs,
    ...(isTls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  };
  return openRedis(settings, options);
}

function openNode(target: RedisTarget, address: string, options: RedisOptions): NodeConnection {
  const colon = address.lastIndexOf(":");
  const [host, port] = [address.slice(0, colon), Number(address.slice(colon + 1))];
  const redis = openRedis({ ...baseOptions(target, options), host, port }, options);
  return {
    get status() {
      return redis.status;
    },
    run: (commands, timeoutMs) => runOnServer(redis, commands, timeoutMs),
    onReady: (listener) => void redis.on("ready", listener),
    close: () => redis.disconnect(),
  };
}

function openRedis(settings: IoRedisOptions, options: RedisOptions): Redis {
  const redis = new Redis(settings);
  redis.on("error", (error: Error) => options.onError?.(error));
  timeouts.set(redis, options.commandTimeoutMs ?? DEFAULT_TIMEOUT_MS);
  return redis;
}

function baseOptions({ username, password, database, isTls }: RedisTarget, options: RedisOptions): IoRedisOptions {
  return {
    username,
    password,
    db: database,
    ...(isTls ? { tls: {} } : {}),
    connectionName: options.name,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // A user with few rights need not have that one, too (logic/redis-users.acl).
    disableClientInfo: true,
    // RESP2: the reply shapes of streams and hashes are the same arrays on every server version.
    protocol: 2,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 1,
    retryStrategy: reconnectDelayMs,
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
}

function reconnectDelayMs(attempt: number): number {
  const ceilingMs = Math.min(RECONNECT_CAP_MS, RECONNECT_BASE_MS * 2 ** Math.min(attempt, 10));
  return ceilingMs / 2 + Math.random() * (ceilingMs / 2);
}

/** Resolves when the client is connected (true), or after `timeoutMs` (false). It goes on trying either way. */
export function whenReady(redis: RedisClient, timeoutMs: number): Promise<boolean> {
  if (redis.status === "ready") return Promise.resolve(true);
  // Both have the event; their overloads do not unite.
  const events: EventEmitter = redis;
  return new Promise((resolve) => {
    const finish = (isReady: boolean): void => {
      clearTimeout(timer);
      events.off("ready", onReady);
      resolve(isReady);
    };
    const onReady = (): void => finish(true);
    const timer = setTimeout(() => finish(false), timeoutMs);
    events.on("ready", onReady);
  });
}

/** A Lua script, called by its SHA-1; see {@link runPipeline}. */
export interface Script {
  readonly name: string;
  readonly lua: string;
  readonly sha: string;
  /** How many of its arguments are keys. */
  readonly keys: number;
}

/** Reads a script file. Call at module level: it is one read at start. */
export function defineScript(file: URL, keys: number): Script {
  const lua = readFileSync(file, "utf8");
  return { name: basename(file.pathname, ".lua"), lua, sha: createHash("sha1").update(lua).digest("hex"), keys };
}

/** One command of a pipeline: plain words, or a script with its keys (`keys` of them, else as many as it says) before its arguments. */
export type RedisCommand =
  | readonly [string, ...(string | number)[]]
  | { script: Script; args: (string | number)[]; keys?: number };

/**
 * Sends the commands as one pipeline, in a Cluster as one per node; the reply of each is a value or an Error. Scripts a
 * server does not know are loaded and its whole pipeline runs once more, so every command must be idempotent. A
 * command without a key goes to the server of the command before it.
 * @throws {ImError} RETRYABLE when there is no connection, or no answer in time; in a Cluster when no node answered:
 *   a part that did not has such an error as its reply
 */
export function runPipeline(redis: RedisClient, commands: readonly RedisCommand[]): Promise<unknown[]> {
  if (redis instanceof ClusterClient) return redis.run(commands);
  return runOnServer(redis, commands, timeouts.get(redis) ?? DEFAULT_TIMEOUT_MS);
}

/** Did this command of a pipeline get an answer of its server, instead of an error? */
export function isAnswer(reply: unknown): boolean {
  return !(reply instanceof Error);
}

/** A server that takes writes. */
export interface RedisMaster {
  /** host:port; "" when there is only one. */
  readonly address: string;
  /** Is this its key? */
  owns(key: string): boolean;
}

const ONLY_MASTER: RedisMaster = { address: "", owns: () => true };

/**
 * Runs commands on every master: one, or those of the Cluster.
 * @throws {ImError} RETRYABLE when one of them does not answer
 */
export async function runOnMasters(
  redis: RedisClient,
  commandsFor: (master: RedisMaster) => readonly RedisCommand[],
): Promise<{ master: RedisMaster; replies: unknown[] }[]> {
  if (redis instanceof ClusterClient) {
    if (redis.status !== "ready") throw unreachable(new Error(`the Cluster is ${redis.status}`));
    return Promise.all(
      redis.masters.map(async (master) => ({
        master,
        replies: await redis.runOn(master.address, commandsFor(master)),
      })),
    );
  }
  return [{ master: ONLY_MASTER, replies: await runPipeline(redis, commandsFor(ONLY_MASTER)) }];
}

async function runOnServer(redis: Redis, commands: readonly RedisCommand[], timeoutMs: number): Promise<unknown[]> {
  const replies = await execute(redis, commands, timeoutMs);
  if (!replies.some(isNoScript)) return replies;
  const scripts = new Map<string, Script>();
  for (const command of commands) if ("script" in command) scripts.set(command.script.sha, command.script);
  const loads = [...scripts.values()].map((script) => ["SCRIPT", "LOAD", script.lua] as const);
  await execute(redis, loads, timeoutMs);
  return execute(redis, commands, timeoutMs);
}

function isNoScript(reply: unknown): boolean {
  return reply instanceof Error && reply.message.startsWith("NOSCRIPT");
}

async function execute(redis: Redis, commands: readonly RedisCommand[], timeoutMs: number): Promise<unknown[]> {
  if (commands.length === 0) return [];
  if (redis.status !== "ready") throw unreachable(new Error(`connection is ${redis.status}`));
  const pipeline = redis.pipeline();
  for (const command of commands) {
    if ("script" in command) pipeline.evalsha(command.script.sha, command.keys ?? command.script.keys, ...command.args);
    else pipeline.call(...(command as [string, ...(string | number)[]]));
  }
  const results = await withDeadline(redis, pipeline.exec(), timeoutMs);
  const replies = (results ?? []).map(([error, value]) => error ?? value);
  const lost = replies.find((reply) => reply instanceof Error && reply.name !== "ReplyError");
  if (lost !== undefined) throw unreachable(lost);
  return replies;
}

/**
 * One timer per pipeline: a timer per command, as the client's own option has it, costs 3 µs each of 7. When it fires,
 * answers that arrived while this process itself was stalled are read first.
 */
function withDeadline<T>(redis: Redis, replies: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    let isSettled = false;
    const timer = setTimeout(() => {
      setImmediate(() => setImmediate(expire));
    }, timeoutMs);
    const expire = (): void => {
      if (isSettled) return;
      isSettled = true;
      reject(unreachable(new Error(`no answer within ${timeoutMs} ms`)));
      abandon(redis);
    };
    const settle = (): boolean => {
      if (isSettled) return false;
      isSettled = true;
      clearTimeout(timer);
      return true;
    };
    replies.then(
      (value) => settle() && resolve(value),
      (error: unknown) => settle() && reject(unreachable(error)),
    );
  });
}

/**
 * Nothing on this connection is answered sooner: starts over on a new one. An orderly end would wait 2 s for a peer that is
 * silent, and the kernel would go on to deliver what has not left yet: a lease renewed long after its entry died.
 */
function abandon(redis: Redis): void {
  const { stream } = redis;
  if (stream instanceof TLSSocket) stream.destroy();
  else stream.resetAndDestroy();
}

function unreachable(cause: unknown): ImError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new ImError(ErrorCode.RETRYABLE, `Redis did not answer: ${detail}`, { cause });
}
