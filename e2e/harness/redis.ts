// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { promisify } from "node:util";
import { LOOPBACK, type Place } from "./place.ts";
import { freePort } from "./ports.ts";
import { describeExit, type GuardedProcess, startProcess, waitUntil } from "./processes.ts";

const run = promisify(execFile);
export const REDIS_BINARY = "/usr/bin/redis-server";
const CLI = "/usr/bin/redis-cli";
const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 5000;
const COMMAND_TIMEOUT_MS = 5000;
/** Only a bound: a reshard takes a second on a quiet machine. */
const CLI_TIMEOUT_MS = 180_000;

/** @throws Error naming the package when Redis is not installed */
export function requireRedis(): void {
  if (!existsSync(REDIS_BINARY)) throw new Error(`${REDIS_BINARY} is missing: apt-get install redis-server`);
}

/** A server to talk to: a port on loopback, or a port somewhere. */
export type RedisAddress = number | { readonly port: number; readonly place: Place };

/** Runs redis-cli against a server; resolves with what it printed. @throws Error with its output */
export async function redisCli(at: RedisAddress, ...words: readonly (string | number)[]): Promise<string> {
  const { port, place } = typeof at === "number" ? { port: at, place: LOOPBACK } : at;
  const args = ["-h", place.host, "-p", String(port), ...words.map(String)];
  const { stdout } = await run(CLI, args, { timeout: CLI_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 });
  return stdout.trimEnd();
}

/** Options of {@link startRedis}. */
export interface RedisServerOptions {
  /** Further settings, e.g. `{ maxmemory: "10mb" }`. */
  settings?: Readonly<Record<string, string | number>>;
  /** Further arguments, after those of `settings`. */
  args?: readonly string[];
  /** Default: loopback. */
  place?: Place;
}

/** A real, memory-only Redis. It dies with the process that started it. */
export class RedisServer {
  readonly port: number;
  readonly place: Place;
  readonly #args: string[];
  #process: GuardedProcess | undefined;

  constructor(port: number, { settings = {}, args = [], place = LOOPBACK }: RedisServerOptions = {}) {
    this.port = port;
    this.place = place;
    const open = place === LOOPBACK ? {} : { "protected-mode": "no" };
    const all = {
      bind: place.host,
      port,
      ...open,
      save: "",
      appendonly: "no",
      "maxmemory-policy": "noeviction",
      ...settings,
    };
    this.#args = [...Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]), ...args];
  }

  get url(): string {
    return `redis://${this.place.host}:${this.port}`;
  }

  /** 0 when stopped. */
  get pid(): number {
    return this.#process?.exit === undefined ? (this.#process?.pid ?? 0) : 0;
  }

  /** What the process last started has printed. */
  get output(): string {
    return this.#process?.output ?? "";
  }

  /** Starts (again), empty, on the same port; resolves when it answers PING, if only by asking for a password. */
  async start(): Promise<void> {
    const { enter } = this.place;
    this.#process = await startProcess({ name: "redis-server", command: REDIS_BINARY, args: this.#args, enter });
    await waitUntil("Redis answers", () => this.#isReady(), START_TIMEOUT_MS);
  }

  async #isReady(): Promise<boolean> {
    const exit = this.#process?.exit;
    if (exit) throw new Error(`redis-server ended at start (${describeExit(exit)}):\n${this.#process?.output}`);
    try {
      return /^(\+PONG|-NOAUTH .*)$/.test(await this.command("PING"));
    } catch {
      return false;
    }
  }

  /** Sends one inline command on a connection of its own and returns the first line of the reply. */
  command(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: this.place.host, port: this.port });
      let reply = "";
      socket.setTimeout(COMMAND_TIMEOUT_MS, () => socket.destroy(new Error(`Redis did not answer ${line}`)));
      socket.setEncoding("utf8");
      socket.once("error", reject);
      socket.once("close", () => reject(new Error(`Redis closed the connection at ${line}`)));
      socket.on("data", (text: string) => {
        reply += text;
        const end = reply.indexOf("\r\n");
        if (end === -1) return;
        resolve(reply.slice(0, end));
        socket.destroy();
      });
      socket.write(`${line}\r\n`);
    });
  }

  /** FLUSHALL: a total loss of everything in it. */
  async flush(): Promise<void> {
    const reply = await this.command("FLUSHALL");
    if (reply !== "+OK") throw new Error(`FLUSHALL: ${reply}`);
  }

  sigstop(): void {
    this.#process?.freeze();
  }

  sigcont(): void {
    this.#process?.signal("SIGCONT");
  }

  async kill9(): Promise<void> {
    await this.#process?.stop("SIGKILL", STOP_TIMEOUT_MS);
  }

  /** May be called more than once. */
  async stop(): Promise<void> {
    await this.#process?.stop("SIGTERM", STOP_TIMEOUT_MS);
  }
}

/**
 * Starts Debian's redis-server on a free port.
 * @throws Error naming the package when it is not installed, or with its log when it does not come up within 15 s
 */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  requireRedis();
  const server = new RedisServer(await freePort(), options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}
