// SPDX-License-Identifier: Apache-2.0
import { appendFileSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { temporaryFolder } from "./folders.ts";
import { LOOPBACK, type Place } from "./place.ts";
import { freePort } from "./ports.ts";
import { copyFolder, installPostgres, type PostgresFiles, postgresUser } from "./postgres-files.ts";
import {
  childPids,
  describeExit,
  freezeProcess,
  type GuardedProcess,
  isRunning,
  sendSignal,
  startProcess,
  waitUntil,
} from "./processes.ts";

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const EXIT_WAIT_MS = 2000;
export const POSTGRES_FOLDER_PREFIX = "imcluster-postgres-";

/** Options of {@link startPostgres}. */
export interface PostgresOptions {
  /** Data directory: made when it does not exist, kept after {@link PostgresServer.stop}. Default: temporary. */
  dir?: string;
  /** True: fsync and full page writes on, as in production. False (default): commits survive a killed process only. */
  durable?: boolean;
  /** Further settings, as on the command line. */
  settings?: Readonly<Record<string, string | number>>;
  /** Default: loopback. Elsewhere it trusts everybody of its own network. */
  place?: Place;
}

/** A real PostgreSQL server; user postgres, no password. It dies with the process that started it. */
export class PostgresServer {
  readonly port: number;
  readonly dir: string;
  readonly #place: Place;
  readonly #files: PostgresFiles;
  readonly #settings: Readonly<Record<string, string | number>>;
  readonly #temporary: boolean;
  #process: GuardedProcess | undefined;
  readonly #onExit = (): void => this.#removeNow();

  constructor(files: PostgresFiles, port: number, dir: string, options: PostgresOptions) {
    this.#files = files;
    this.#place = options.place ?? LOOPBACK;
    this.port = port;
    this.dir = dir;
    this.#temporary = options.dir === undefined;
    const base = baseSettings(options.durable ?? false, this.#place.host);
    this.#settings = { ...base, ...options.settings, port };
    process.once("exit", this.#onExit);
  }

  /** Connection URL of the database `postgres`. */
  get url(): string {
    return this.urlOf("postgres");
  }

  /** Pid of the postmaster, 0 when stopped. */
  get pid(): number {
    return this.#process?.exit === undefined ? (this.#process?.pid ?? 0) : 0;
  }

  /** Connection URL of a database. */
  urlOf(database: string): string {
    return `postgres://postgres@${this.#place.host}:${this.port}/${database}`;
  }

  /** Starts (again) on the same port and data; resolves when it accepts connections, as primary or hot standby. */
  async start(): Promise<void> {
    const args = Object.entries(this.#settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    this.#process = await startProcess({
      name: "postgres",
      command: join(this.#files.home, "bin", "postgres"),
      args: ["-D", this.dir, ...args],
      env: { PATH: process.env.PATH, TZ: "UTC" },
      cwd: this.dir,
      deathSignal: "SIGQUIT",
      enter: this.#place.enter,
      ...(postgresUser ? { user: postgresUser } : {}),
    });
    await waitUntil("PostgreSQL accepts connections", () => this.#isReady(), START_TIMEOUT_MS);
  }

  #isReady(): boolean {
    const exit = this.#process?.exit;
    if (exit) throw new Error(`PostgreSQL ended at start (${describeExit(exit)}):\n${this.#process?.output}`);
    try {
      const [pid, , , , , , , status] = readFileSync(join(this.dir, "postmaster.pid"), "utf8").split("\n");
      return Number(pid) === this.#process?.pid && (status?.trim() === "ready" || status?.trim() === "standby");
    } catch {
      return false;
    }
  }

  /** Everything it logged lately. */
  get output(): string {
    return this.#process?.output ?? "";
  }

  /** Kills the server and all its backends at once, as a power cut of the machine's processes would. */
  async kill9(): Promise<void> {
    const postmaster = this.#process;
    if (!postmaster || postmaster.exit) return;
    // Frozen first, so that no backend begins that nobody would kill: the next start would find its shared memory in use.
    postmaster.freeze();
    const pids = childPids(postmaster.pid);
    postmaster.signal("SIGKILL");
    for (const pid of pids) sendSignal(pid, "SIGKILL");
    await postmaster.waitForExit(STOP_TIMEOUT_MS);
    await waitUntil("PostgreSQL's backends are gone", () => !pids.some(isRunning), STOP_TIMEOUT_MS);
  }

  /** Fast shutdown, as before maintenance: connections get "admin shutdown". {@link start} brings it back. */
  async stopServer(): Promise<void> {
    await this.#process?.stop("SIGINT", STOP_TIMEOUT_MS);
  }

  /** Fast shutdown; removes a temporary data directory. May be called more than once. */
  async stop(): Promise<void> {
    await this.stopServer();
    process.off("exit", this.#onExit);
    if (this.#temporary) rmSync(this.dir, { recursive: true, force: true });
  }

  /** Makes a database and returns its URL. The name must be new on this server. */
  async createDatabase(name: string): Promise<string> {
    await this.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
    return this.urlOf(name);
  }

  /** Runs one statement in the database `postgres`, as superuser; rows as arrays. */
  async query(text: string): Promise<unknown[][]> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: STOP_TIMEOUT_MS });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return (await client.query({ text, rowMode: "array" })).rows;
    } finally {
      await client.end();
    }
  }

  /** The postmaster first: it makes no further backend then. */
  sigstop(): void {
    const { pid } = this;
    if (pid === 0 || !freezeProcess(pid)) return;
    for (const child of childPids(pid)) freezeProcess(child);
  }

  sigcont(): void {
    const { pid } = this;
    if (pid !== 0) for (const one of [...childPids(pid), pid]) sendSignal(one, "SIGCONT");
  }

  /** Exit handler: nothing asynchronous runs any more. */
  #removeNow(): void {
    const pid = this.pid;
    if (pid !== 0) {
      sendSignal(pid, "SIGQUIT");
      const pause = new Int32Array(new SharedArrayBuffer(4));
      for (let waitedMs = 0; isRunning(pid) && waitedMs < EXIT_WAIT_MS; waitedMs += 5) Atomics.wait(pause, 0, 0, 5);
    }
    if (this.#temporary) rmSync(this.dir, { recursive: true, force: true });
  }
}

function baseSettings(durable: boolean, host: string): Record<string, string | number> {
  return {
    listen_addresses: host,
    unix_socket_directories: "",
    max_connections: 200,
    shared_buffers: "128MB",
    log_min_messages: "warning",
    // A commit must survive kill -9 in every mode, so synchronous_commit stays on.
    ...(durable ? {} : { fsync: "off", full_page_writes: "off", io_method: "sync", autovacuum: "off" }),
  };
}

/**
 * Starts a real PostgreSQL from the npm package on a free port. About 0.5 s, 5 s the first time on a machine.
 * @throws Error with the server's log when it does not come up within 30 s
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const files = await installPostgres();
  const dir = options.dir ?? temporaryFolder(POSTGRES_FOLDER_PREFIX);
  if (!existsSync(join(dir, "PG_VERSION"))) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if (postgresUser) chownSync(dir, postgresUser.uid, postgresUser.gid);
    await copyFolder(files.template, dir);
    if (options.place) appendFileSync(join(dir, "pg_hba.conf"), "host all,replication all samenet trust\n");
  }
  const server = new PostgresServer(files, await freePort(), dir, options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

let shared: Promise<PostgresServer> | undefined;

/** One non-durable server for all suites of this test process, stopped when the process ends: make a database each. */
export function sharedPostgres(): Promise<PostgresServer> {
  shared ??= startPostgres();
  return shared;
}
