// SPDX-License-Identifier: Apache-2.0
import type { Redis } from "#lib/redis.ts";
import type { Calls, Server } from "../calls.ts";
import type { Proc } from "../kernel.ts";
import type { RedisServer } from "./server.ts";

/** Words of a command as a client sends them. */
type Words = (string | number)[];
type Replies = [error: Error | null, value: unknown][];

/** Another client's commands may come between two of one pipeline. */
const SPLIT_CHANCE = 0.2;
const RECONNECT_MS = [50, 400] as const;

class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** The part of the real client that lib/redis.ts uses, on a {@link RedisServer}. */
class SimRedisClient {
  status: "ready" | "reconnecting" = "ready";
  /** The socket below. */
  readonly stream = { resetAndDestroy: () => this.#reconnect() };
  readonly #calls: Calls;
  readonly #proc: Proc;
  readonly #server: Server;
  readonly #redis: RedisServer;

  constructor(calls: Calls, proc: Proc, server: Server, redis: RedisServer) {
    this.#calls = calls;
    this.#proc = proc;
    this.#server = server;
    this.#redis = redis;
  }

  pipeline() {
    const commands: Words[] = [];
    const pipeline = {
      call: (...words: Words) => {
        commands.push(words);
        return pipeline;
      },
      evalsha: (sha: string, keys: number, ...args: Words) => {
        commands.push(["EVALSHA", sha, keys, ...args]);
        return pipeline;
      },
      exec: () => this.#exec(commands),
    };
    return pipeline;
  }

  on(): this {
    return this;
  }

  off(): this {
    return this;
  }

  disconnect(isReconnecting = false): void {
    if (isReconnecting) this.#reconnect();
  }

  #reconnect(): void {
    if (this.status === "reconnecting") return;
    this.status = "reconnecting";
    const { kernel, network } = this.#calls;
    const retry = (): void => {
      const isAway = this.#server.awayUntilMs > kernel.nowMs || network.isCut(this.#proc, this.#server.proc);
      if (isAway) kernel.after(kernel.random.int(...RECONNECT_MS), this.#proc, retry);
      else this.status = "ready";
    };
    kernel.after(kernel.random.int(...RECONNECT_MS), this.#proc, retry);
  }

  async #exec(commands: readonly Words[]): Promise<Replies> {
    const { random } = this.#calls.kernel;
    const replies: Replies = [];
    let rest = commands.map((words) => words.map(String));
    while (rest.length > 0) {
      const count = rest.length > 1 && random.chance(SPLIT_CHANCE) ? random.int(1, rest.length - 1) : rest.length;
      const part = rest.slice(0, count);
      rest = rest.slice(count);
      try {
        replies.push(...(await this.#send(part)));
      } catch (error) {
        this.#reconnect();
        const lost = error instanceof Error ? error : new ConnectionLost(String(error));
        for (let at = replies.length; at < commands.length; at++) replies.push([lost, undefined]);
        return replies;
      }
    }
    return replies;
  }

  #send(part: readonly string[][]): Promise<Replies> {
    const lost = (): Error => new ConnectionLost("Connection is closed.");
    const name = `redis.${part.map(([word = "", sha = ""]) => (word === "EVALSHA" ? sha.slice(0, 6) : word)).join("+")}`;
    return this.#calls.call(this.#proc, this.#server, name, () => this.#run(part), lost);
  }

  async #run(part: readonly string[][]): Promise<Replies> {
    const replies: Replies = [];
    for (const words of part) {
      const reply = isBlocking(words) ? await this.#block(words) : this.#redis.execute(words);
      replies.push(reply instanceof Error ? [reply, undefined] : [null, reply]);
    }
    return replies;
  }

  /** XREADGROUP BLOCK: answers when there is something to read, or nothing after its time. */
  #block(words: readonly string[]): Promise<unknown> {
    const at = words.findIndex((word) => word.toUpperCase() === "BLOCK");
    const waitMs = Number(words[at + 1]);
    const plain = words.toSpliced(at, 2);
    const first = this.#redis.execute(plain);
    if (first !== null) return Promise.resolve(first);
    return new Promise((resolve) => {
      const finish = (reply: unknown): void => {
        cancel();
        unwatch();
        resolve(reply);
      };
      const isGone = (): boolean => this.#proc.isDead;
      const cancel = this.#calls.kernel.after(waitMs, undefined, () => finish(null));
      const unwatch = this.#redis.watch(() => {
        // The server drops the readers of a process that died.
        const reply = isGone() ? undefined : this.#redis.execute(plain);
        if (reply !== null) finish(reply ?? null);
      });
    });
  }
}

function isBlocking(words: readonly string[]): boolean {
  return /^XREAD/i.test(words[0] ?? "") && words.some((word) => word.toUpperCase() === "BLOCK");
}

/** A client of `proc`. */
export function redisClientOf(calls: Calls, proc: Proc, server: Server, redis: RedisServer): Redis {
  return new SimRedisClient(calls, proc, server, redis) as unknown as Redis;
}
