// SPDX-License-Identifier: Apache-2.0
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testedBuild } from "./build.ts";
import { LOOPBACK, type Place } from "./place.ts";
import { describeExit, type GuardedProcess, type ProcessExit, startProcess, waitUntil } from "./processes.ts";

/** Generous: a loaded two-core machine starts several Node processes at once. */
const READY_TIMEOUT_MS = 120_000;
const STOP_GRACE_MS = 30_000;
const PROBE_TIMEOUT_MS = 2000;
/** A busy process renders its metrics when it comes to it. */
const METRICS_TIMEOUT_MS = 10_000;
const METRIC_TIMEOUT_MS = 30_000;
const TAIL_BYTES = 6000;

/** Options of {@link ServiceProcess}. */
export interface ServiceOptions {
  /** Shown in errors, e.g. `entry-0`. */
  name: string;
  /** Path of the program below the build's folder. */
  script: string;
  env: Readonly<Record<string, string>>;
  /** Port of /readyz and /metrics; the environment must name the same. */
  adminPort: number;
  /** Everything it prints is appended here. */
  logPath: string;
  /** Arguments for node itself, e.g. `--cpu-prof`. */
  nodeArgs?: readonly string[];
  /** Default: here. */
  place?: Place;
  /** Folder of the build whose script runs, asked at every start. Default: {@link testedBuild}. */
  build?: () => string;
}

/** One of our own server processes as a child: the real thing. It cannot outlive this process. */
export class ServiceProcess {
  readonly name: string;
  readonly logPath: string;
  readonly adminPort: number;
  readonly #options: ServiceOptions;
  #process: GuardedProcess | undefined;

  constructor(options: ServiceOptions) {
    this.name = options.name;
    this.logPath = options.logPath;
    this.adminPort = options.adminPort;
    this.#options = options;
  }

  /** 0 when it does not run. */
  get pid(): number {
    return this.#process && !this.#process.exit ? this.#process.pid : 0;
  }

  /** How the last run ended; undefined while it runs and before the first start. */
  get exit(): ProcessExit | undefined {
    return this.#process?.exit;
  }

  /** Starts it (again); resolves when the process exists. @throws Error when it still runs */
  async start(): Promise<void> {
    if (this.pid !== 0) throw new Error(`${this.name} already runs as ${this.pid}`);
    const { script, env, nodeArgs = [], logPath, place = LOOPBACK, build = testedBuild } = this.#options;
    const root = build();
    // The shell only redirects: `exec` replaces it, so pid and death signal are those of node.
    const node = [process.execPath, ...nodeArgs, join(root, script)];
    this.#process = await startProcess({
      name: this.name,
      command: "/bin/sh",
      args: ["-c", 'exec "$@" >>"$0" 2>&1 </dev/null', logPath, ...node],
      enter: place.enter,
      cwd: root,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        NODE_COMPILE_CACHE: join(tmpdir(), "imcluster-compile-cache"),
        ...env,
      },
    });
  }

  /** Resolves when /readyz answers 200. @throws Error with the end of its log when it ends first or takes too long */
  async waitReady(timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    try {
      await waitUntil(`${this.name} is ready`, () => this.#probe(), timeoutMs);
    } catch (cause) {
      throw new Error(`${(cause as Error).message}\n${this.logTail()}`, { cause });
    }
  }

  /** As {@link waitReady} for a process that somebody starts again when it ends. */
  async waitBack(timeoutMs = READY_TIMEOUT_MS): Promise<void> {
    try {
      await waitUntil(`${this.name} is ready`, () => this.isReady(), timeoutMs);
    } catch (cause) {
      throw new Error(`${(cause as Error).message}\n${this.logTail()}`, { cause });
    }
  }

  async #probe(): Promise<boolean> {
    const exit = this.exit;
    if (exit) throw new Error(`${this.name} ended (${describeExit(exit)})`);
    return await this.isReady();
  }

  /** Does /readyz answer 200 now? */
  async isReady(): Promise<boolean> {
    try {
      const response = await this.#get("/readyz");
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }

  /** Prometheus text of /metrics. */
  async metrics(): Promise<string> {
    return await (await this.#get("/metrics", METRICS_TIMEOUT_MS)).text();
  }

  /** Value of one metric without labels; undefined when there is none. */
  async metric(name: string): Promise<number | undefined> {
    const line = (await this.metrics()).split("\n").find((text) => text.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  }

  /** Resolves when the metric has this value; a question without an answer is asked again. @throws Error after `timeoutMs`, or when it ends */
  async waitMetric(name: string, value: number, timeoutMs = METRIC_TIMEOUT_MS): Promise<void> {
    let last: unknown;
    const isReached = async (): Promise<boolean> => {
      if (this.exit) throw new Error(`${this.name} ended (${describeExit(this.exit)})`);
      try {
        last = await this.metric(name);
      } catch (error) {
        last = error;
      }
      return last === value;
    };
    try {
      await waitUntil(`${name} of ${this.name} is ${value}`, isReached, timeoutMs);
    } catch (error) {
      throw new Error(`${(error as Error).message}; last answer: ${String(last)}`, { cause: error });
    }
  }

  #get(path: string, timeoutMs = PROBE_TIMEOUT_MS): Promise<Response> {
    const { host } = this.#options.place ?? LOOPBACK;
    return fetch(`http://${host}:${this.adminPort}${path}`, { signal: AbortSignal.timeout(timeoutMs) });
  }

  /** Sends a signal; false when it does not run. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#process?.signal(signal) ?? false;
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill9(): Promise<void> {
    if (this.signal("SIGKILL")) await this.#process?.waitForExit();
  }

  /** Freezes it, as a long pause of its machine would. */
  sigstop(): void {
    this.#process?.freeze();
  }

  sigcont(): void {
    this.signal("SIGCONT");
  }

  /** SIGTERM, and SIGKILL past the grace. Resolves with how it ended; undefined when it never ran. */
  async stop(graceMs = STOP_GRACE_MS): Promise<ProcessExit | undefined> {
    const child = this.#process;
    if (!child || child.exit) return child?.exit;
    this.sigcont();
    return await child.stop("SIGTERM", graceMs);
  }

  /** Resolves with how the present run ends, whenever that is. @throws Error when it was never started */
  async whenExited(): Promise<ProcessExit> {
    if (!this.#process) throw new Error(`${this.name} was never started`);
    return await this.#process.exited;
  }

  /** Resolves with how it ended. @throws Error with the end of its log when it still runs after `timeoutMs` */
  async waitExit(timeoutMs = STOP_GRACE_MS): Promise<ProcessExit> {
    if (!this.#process) throw new Error(`${this.name} was never started`);
    try {
      return await this.#process.waitForExit(timeoutMs);
    } catch (cause) {
      throw new Error(`${this.name} still runs after ${timeoutMs} ms\n${this.logTail()}`, { cause });
    }
  }

  /** Stops it in good order and starts it on the same ports; resolves when ready. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
    await this.waitReady();
  }

  /** The end of its log, headed by its name. */
  logTail(bytes = TAIL_BYTES): string {
    return `--- ${this.name}: end of ${this.logPath}\n${readTail(this.logPath, bytes)}`;
  }
}

function readTail(path: string, bytes: number): string {
  try {
    const file = openSync(path, "r");
    try {
      const { size } = fstatSync(file);
      const buffer = Buffer.alloc(Math.min(bytes, size));
      readSync(file, buffer, 0, buffer.length, size - buffer.length);
      return buffer.toString("utf8");
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return `(no log: ${(error as Error).message})`;
  }
}
