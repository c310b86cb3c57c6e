// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { Redis } from "ioredis";
import { ErrorCode, ImError } from "./errors.ts";

export type { Redis } from "ioredis";

const RECONNECT_BASE_MS = 50;
const RECONNECT_CAP_MS = 2000;

/** Options of {@link createRedis}. */
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
 * A client that fails fast and never gives up: no offline queue (a command without a connection rejects at once),
 * nothing is sent twice behind the caller's back, a failed-over master (READONLY) causes a reconnect, and
 * reconnects back off from 50 ms to 2 s with jitter for ever. Returns before the first connection is up.
 * Call it through {@link runPipeline}, which has the deadline.
 */
export function createRedis(url: string, options: RedisOptions): Redis {
  const redis = new Redis(url, {
    connectionName: options.name,
    connectTimeout: 3000,
    // RESP2: the reply shapes of streams and hashes are the same arrays on every server version.
    protocol: 2,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 1,
    retryStrategy: (attempt) => {
      const ceilingMs = Math.min(RECONNECT_CAP_MS, RECONNECT_BASE_MS * 2 ** Math.min(attempt, 10));
      return ceilingMs / 2 + Math.random() * (ceilingMs / 2);
    },
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  });
  redis.on("error", (error: Error) => options.onError?.(error));
  timeouts.set(redis, options.commandTimeoutMs ?? DEFAULT_TIMEOUT_MS);
  return redis;
}

/** Resolves when the client is connected (true), or after `timeoutMs` (false). It goes on trying either way. */
export function whenReady(redis: Redis, timeoutMs: number): Promise<boolean> {
  if (redis.status === "ready") return Promise.resolve(true);
  return new Promise((resolve) => {
    const finish = (isReady: boolean): void => {
      clearTimeout(timer);
      redis.off("ready", onReady);
      resolve(isReady);
    };
    const onReady = (): void => finish(true);
    const timer = setTimeout(() => finish(false), timeoutMs);
    redis.on("ready", onReady);
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

/** One command of a pipeline: plain words, or a script with its keys before its arguments. */
export type RedisCommand = readonly [string, ...(string | number)[]] | { script: Script; args: (string | number)[] };

/**
 * Sends the commands as one pipeline; the reply of each is a value or an Error. Scripts the server does not know
 * are loaded and the whole pipeline runs once more, so every command in it must be idempotent.
 * @throws {ImError} RETRYABLE when there is no connection, or no answer in time
 */
export async function runPipeline(redis: Redis, commands: readonly RedisCommand[]): Promise<unknown[]> {
  const replies = await execute(redis, commands);
  if (!replies.some(isNoScript)) return replies;
  const scripts = new Map<string, Script>();
  for (const command of commands) if ("script" in command) scripts.set(command.script.sha, command.script);
  await execute(
    redis,
    [...scripts.values()].map((script) => ["SCRIPT", "LOAD", script.lua] as const),
  );
  return execute(redis, commands);
}

function isNoScript(reply: unknown): boolean {
  return reply instanceof Error && reply.message.startsWith("NOSCRIPT");
}

async function execute(redis: Redis, commands: readonly RedisCommand[]): Promise<unknown[]> {
  if (commands.length === 0) return [];
  if (redis.status !== "ready") throw unreachable(new Error(`connection is ${redis.status}`));
  const pipeline = redis.pipeline();
  for (const command of commands) {
    if ("script" in command) pipeline.evalsha(command.script.sha, command.script.keys, ...command.args);
    else pipeline.call(...(command as [string, ...(string | number)[]]));
  }
  const results = await withDeadline(redis, pipeline.exec());
  const replies = (results ?? []).map(([error, value]) => error ?? value);
  const lost = replies.find((reply) => reply instanceof Error && reply.name !== "ReplyError");
  if (lost !== undefined) throw unreachable(lost);
  return replies;
}

/**
 * One timer per pipeline: a timer per command, as the client's own option has it, costs 3 µs each of 7. When it fires,
 * answers that arrived while this process itself was stalled are read first.
 */
function withDeadline<T>(redis: Redis, replies: Promise<T>): Promise<T> {
  const timeoutMs = timeouts.get(redis) ?? DEFAULT_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    let isSettled = false;
    const timer = setTimeout(() => {
      setImmediate(() => setImmediate(expire));
    }, timeoutMs);
    const expire = (): void => {
      if (isSettled) return;
      isSettled = true;
      reject(unreachable(new Error(`no answer within ${timeoutMs} ms`)));
      // Nothing after it is answered sooner: start over on a new connection.
      redis.disconnect(true);
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

function unreachable(cause: unknown): ImError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new ImError(ErrorCode.RETRYABLE, `Redis did not answer: ${detail}`, { cause });
}
