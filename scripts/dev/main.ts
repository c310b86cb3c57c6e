// SPDX-License-Identifier: Apache-2.0
// `make dev`: the fleet as local processes with real PostgreSQL and Redis; a changed source restarts what it belongs to.
// `--once` stops as soon as all is ready and prints how long that took.
import { createHash } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "#lib/clock.ts";
import { type Fleet, startFleet } from "../../e2e/harness/fleet.ts";
import { type PostgresServer, startPostgres } from "../../e2e/harness/postgres.ts";
import { installPostgres } from "../../e2e/harness/postgres-files.ts";
import { describeExit } from "../../e2e/harness/processes.ts";
import { REDIS_BINARY } from "../../e2e/harness/redis.ts";
import type { ServiceProcess } from "../../e2e/harness/service-process.ts";
import { run } from "../cluster/command.ts";
import { describeFault } from "../cluster/fault.ts";
import { makeFolder } from "../cluster/folder.ts";
import { cacheRoot, PROJECT_ROOT } from "../cluster/paths.ts";
import { ensurePrograms } from "../cluster/programs.ts";
import { createProgress } from "../cluster/progress.ts";
import { Debounce, type Target, watchSources } from "./source-watch.ts";
import { clearStale, writeRecords } from "./stale.ts";

const ENTRIES = 2;
const FIRST_TLS_PORT = 8443;
const QUIET_MS = 300;
const SAMPLE_USERS = ["alice", "bob"] as const;
const TOKEN_TTL_S = 7 * 24 * 3600;
/** What the machine has to have, by the Debian packages; PostgreSQL comes by npm. */
const PROGRAMS = { [REDIS_BINARY]: "redis-server", openssl: "openssl", setpriv: "util-linux" };
const DEMO_BUILD = "examples/chat/build.ts";
const DEMO_BUILD_TIMEOUT_MS = 60_000;

const progress = createProgress();

/** The fleet of `make dev` and everything around it. */
class DevFleet {
  readonly #dir: string;
  readonly #fleet: Fleet;
  readonly #postgres: PostgresServer;
  readonly #demoDir: string;
  readonly #stopping = new AbortController();
  /** Restarts run one after the other, so that an entry is up while the next one goes. */
  #work: Promise<void> = Promise.resolve();

  constructor(dir: string, fleet: Fleet, postgres: PostgresServer, demoDir: string) {
    this.#dir = dir;
    this.#fleet = fleet;
    this.#postgres = postgres;
    this.#demoDir = demoDir;
    for (const process of fleet.processes) this.#watchExit(process);
    this.#record();
  }

  /** Restarts what a change concerns. */
  apply(targets: ReadonlySet<Target>): void {
    this.#work = this.#work.then(async () => {
      if (targets.has("demo")) await buildDemo(this.#demoDir);
      for (const [target, processes] of [
        ["logic", this.#fleet.logics],
        ["extlogic", this.#fleet.extlogics],
        ["entry", this.#fleet.entries],
      ] as const)
        if (targets.has(target)) for (const process of processes) await this.#restart(process);
    });
  }

  async #restart(process: ServiceProcess): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    try {
      const startedMs = performance.now();
      await process.restart();
      this.#watchExit(process);
      this.#record();
      progress.line(`${process.name} restarted in ${Math.round(performance.now() - startedMs)} ms`);
    } catch (error) {
      progress.line(`${describeFault(error)}\n${process.name} stays down until a source changes`);
    }
  }

  #watchExit(process: ServiceProcess): void {
    const { pid } = process;
    void process.whenExited().then((exit) => {
      // Ended by a restart or by us: somebody else reports it.
      if (exit.code === 0 || this.#stopping.signal.aborted || process.pid === pid) return;
      progress.line(`${process.name} ended (${describeExit(exit)}) and stays down until a source changes`);
      console.error(process.logTail(2000));
    });
  }

  #record(): void {
    const ours = this.#fleet.processes.map(({ name, pid }) => ({ name, pid, marker: `${PROJECT_ROOT}/` }));
    const servers = [
      { name: "postgres", pid: this.#postgres.pid, marker: this.#postgres.dir },
      { name: "redis-server", pid: this.#fleet.redis.pid, marker: "redis-server" },
    ];
    writeRecords(recordsPath(this.#dir), [...ours, ...servers]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#work;
    await this.#fleet.stopAll();
    await this.#postgres.stop();
    rmSync(recordsPath(this.#dir), { force: true });
  }
}

const recordsPath = (dir: string): string => join(dir, "processes.json");

/** Makes the demo page; the fleet is useful without it, so a failure is only told. */
async function buildDemo(demoDir: string): Promise<void> {
  if (!existsSync(join(PROJECT_ROOT, DEMO_BUILD))) {
    progress.line(`no demo page: ${DEMO_BUILD} does not exist`);
    return;
  }
  try {
    await run(process.execPath, [DEMO_BUILD, demoDir], {
      cwd: PROJECT_ROOT,
      timeoutMs: DEMO_BUILD_TIMEOUT_MS,
    });
    progress.line("demo page built");
  } catch (error) {
    progress.line(`no demo page: ${describeFault(error)}`);
  }
}

/** The lowest free ports from 8443 on. */
async function tlsPorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let port = FIRST_TLS_PORT; ports.length < count && port < FIRST_TLS_PORT + 1000; port++)
    if (await canListen(port)) ports.push(port);
  return ports;
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Where the database lives. Run by root, PostgreSQL is another user, who may be unable to reach our home. */
async function databaseFolder(dir: string): Promise<string> {
  const cache = dirname((await installPostgres()).home);
  if (cache === cacheRoot()) return join(dir, "postgres");
  const suffix = createHash("sha256").update(dir).digest("hex").slice(0, 8);
  return join(cache, `dev-postgres-${suffix}`);
}

async function start(dir: string): Promise<{ dev: DevFleet; fleet: Fleet }> {
  const demoDir = join(dir, "demo");
  for (const name of ["entry-0", "entry-1", "logic-0", "extlogic-0", "migrate"])
    rmSync(join(dir, `${name}.log`), { force: true });
  makeFolder(demoDir);
  const [postgres] = await Promise.all([
    startPostgres({ dir: await databaseFolder(dir), durable: true }),
    buildDemo(demoDir),
  ]);
  try {
    const fleet = await startFleet({
      entries: ENTRIES,
      extlogics: 1,
      postgres,
      postgresUrl: postgres.url,
      dir,
      entryTlsPorts: await tlsPorts(ENTRIES),
      entryEnv: { IM_DEMO_DIR: demoDir, IM_DRAIN_WINDOW_MS: "500", IM_DRAIN_DEADLINE_MS: "2000" },
    });
    return { dev: new DevFleet(dir, fleet, postgres, demoDir), fleet };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

async function describe(fleet: Fleet, dir: string): Promise<string> {
  const tokens = await Promise.all(
    SAMPLE_USERS.map(async (user) => `${user}=${await fleet.tokens.mint(user, { expiresInS: TOKEN_TTL_S })}`),
  );
  const [first] = fleet.entries;
  return `
The fleet is ready after ${progress.elapsedSeconds()} s.

  browser   https://localhost:${first?.tlsPort}/demo/#${tokens.join("&")}
            (the certificate is signed by this machine's own ${join(dir, "authority", "ca.crt")})
  entries   ${fleet.entries.map((entry) => `tls://localhost:${entry.tlsPort} wss://localhost:${entry.tlsPort}/ws`).join("\n            ")}
  plain     ${fleet.entries.map((entry) => `tcp://localhost:${entry.plainPort}`).join("  ")}
  admin     ${fleet.processes.map((process) => `${process.name} http://localhost:${process.adminPort}/metrics`).join("\n            ")}
  database  ${fleet.postgresUrl}
  redis     ${fleet.redis.url}
  logs      ${join(dir, "*.log")}

A changed source restarts what it belongs to. Ctrl-C stops everything; the database stays.
`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { once: { type: "boolean", default: false } } });
  const dir = join(cacheRoot(), "dev");
  makeFolder(dir, 0o700);
  const running = await clearStale(recordsPath(dir));
  if (running !== undefined) {
    console.error(`make dev already runs as process ${running}: stop that one first (kill ${running}).`);
    return 1;
  }
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130));
        resolve();
      });
    }
  });
  await ensurePrograms(PROGRAMS, { progress });
  const { dev, fleet } = await start(dir);
  const readySeconds = progress.elapsedSeconds();
  const stopWatching = watchSources(PROJECT_ROOT, new Debounce(systemClock, QUIET_MS, (targets) => dev.apply(targets)));
  // Whoever is told may change a source at once.
  console.error(await describe(fleet, dir));
  if (!values.once) await interrupted;
  progress.line("stopping");
  stopWatching();
  await dev.stop();
  progress.line("stopped");
  console.log(JSON.stringify({ ok: true, readySeconds }));
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(describeFault(error));
  process.exitCode = 1;
}
