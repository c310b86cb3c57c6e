// SPDX-License-Identifier: Apache-2.0
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { temporaryFolder } from "./folders.ts";
import { freePort } from "./ports.ts";
import { describeExit, type GuardedProcess, startProcess, waitUntil } from "./processes.ts";

const BINARY = "/usr/bin/prometheus";
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const QUERY_TIMEOUT_MS = 10_000;

/** Something to scrape, with the labels that discovery gives it in a cluster. */
export interface ScrapeTarget {
  /** `host:port`; its figures are at /metrics. */
  address: string;
  labels: Readonly<Record<string, string>>;
  /** The figures' own labels win over those of the target. Default false. */
  honorLabels?: boolean;
}

/** Options of {@link startPrometheus}. */
export interface PrometheusOptions {
  targets: readonly ScrapeTarget[];
  ruleFiles?: readonly string[];
  scrapeIntervalS?: number;
}

/** One series at one moment. */
export interface Sample {
  labels: Record<string, string>;
  value: number;
}

interface Answer<T> {
  status: string;
  error?: string;
  data: T;
}

/** An alert whose condition holds: `pending` until it has held long enough, then `firing`. */
export interface ActiveAlert {
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What is asked of a Prometheus that runs, whoever started it. */
export class PrometheusApi {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** The series that a query gives now. @throws Error with Prometheus' own words when it is no query */
  async query(expr: string): Promise<Sample[]> {
    type Result = { result: { metric: Record<string, string>; value: [number, string] }[] };
    const { result } = await this.#ask<Result>(`query?query=${encodeURIComponent(expr)}`);
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** Alerts that fire, or will when it lasts. */
  async alerts(): Promise<ActiveAlert[]> {
    return (await this.#ask<{ alerts: ActiveAlert[] }>("alerts")).alerts;
  }

  /** Names of the alerts that fire. */
  async firing(): Promise<Set<string>> {
    const alerts = await this.alerts();
    return new Set(alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels.alertname ?? ""));
  }

  /** Targets that were scraped without a fault the last time. */
  async scraped(): Promise<number> {
    type Targets = { activeTargets: { health: string }[] };
    const { activeTargets } = await this.#ask<Targets>("targets?state=active");
    return activeTargets.filter(({ health }) => health === "up").length;
  }

  async #ask<T>(path: string): Promise<T> {
    const response = await fetch(`${this.url}/api/v1/${path}`, { signal: AbortSignal.timeout(QUERY_TIMEOUT_MS) });
    const answer = (await response.json()) as Answer<T>;
    if (answer.status !== "success") throw new Error(`Prometheus refuses ${decodeURIComponent(path)}: ${answer.error}`);
    return answer.data;
  }
}

/** A real Prometheus that scrapes and evaluates. It dies with the process that started it. */
export class PrometheusServer extends PrometheusApi {
  readonly #process: GuardedProcess;
  readonly #dir: string;

  constructor(url: string, process: GuardedProcess, dir: string) {
    super(url);
    this.#process = process;
    this.#dir = dir;
  }

  /** Resolves when it has ended, with how. */
  async ended(): Promise<string> {
    return `Prometheus ended (${describeExit(await this.#process.exited)}): ${this.#process.output.slice(-2000)}`;
  }

  async stop(): Promise<void> {
    await this.#process.stop("SIGTERM", STOP_TIMEOUT_MS);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** Starts a Prometheus on loopback that scrapes these; resolves when it answers. @throws Error naming the package when it is not installed */
export function startPrometheus(options: PrometheusOptions): Promise<PrometheusServer> {
  return startPrometheusWith(configOf(options));
}

/** As {@link startPrometheus}, with a configuration of one's own. */
export async function startPrometheusWith(configuration: object): Promise<PrometheusServer> {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: apt-get install prometheus`);
  const dir = temporaryFolder("imcluster-prometheus-");
  const [config, port] = [join(dir, "prometheus.yml"), await freePort()];
  writeFileSync(config, stringify(configuration));
  const url = `http://127.0.0.1:${port}`;
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`];
  const child = await startProcess({ name: "prometheus", command: BINARY, args });
  const server = new PrometheusServer(url, child, dir);
  try {
    await waitUntil("Prometheus answers", async () => await isUp(url, child), START_TIMEOUT_MS);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function isUp(url: string, child: GuardedProcess): Promise<boolean> {
  if (child.exit) throw new Error(`Prometheus ended (${describeExit(child.exit)}): ${child.output}`);
  try {
    return (await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(1000) })).ok;
  } catch {
    return false;
  }
}

function configOf({ targets, ruleFiles = [], scrapeIntervalS = 1 }: PrometheusOptions): object {
  const interval = `${scrapeIntervalS}s`;
  return {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: [...ruleFiles],
    scrape_configs: targets.map(({ address, labels, honorLabels = false }, index) => ({
      job_name: `target-${index}`,
      honor_labels: honorLabels,
      static_configs: [{ targets: [address], labels }],
    })),
  };
}
