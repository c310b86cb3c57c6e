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
    // As texts from here on, as they are on the wire.
    const words = commands.map((command) => command.map(asText));
    while (replies.length < words.length) {
      const left = words.length - replies.length;
      const count = left > 1 && random.chance(SPLIT_CHANCE) ? random.int(1, left - 1) : left;
      const part = count === words.length ? words : words.slice(replies.length, replies.length + count);
      try {
        for (const reply of await this.#send(part)) replies.push(reply);
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
    const nameOf = ([word = "", sha = ""]: readonly string[]): string => (word === "EVALSHA" ? sha.slice(0, 6) : word);
    const name = (): string => `redis.${part.map(nameOf).join("+")}`;
    return this.#calls.call(this.#proc, this.#server, name, () => this.#run(part), lost);
  }

  #run(part: readonly string[][]): Replies {
    return part.map((words) => {
      const reply = this.#redis.execute(words);
      return reply instanceof Error ? [reply, undefined] : [null, reply];
    });
  }
}

function asText(word: string | number): string {
  return typeof word === "string" ? word : String(word);
}

/** A client of `proc`. */
export function redisClientOf(calls: Calls, proc: Proc, server: Server, redis: RedisServer): Redis {
  return new SimRedisClient(calls, proc, server, redis) as unknown as Redis;
}
