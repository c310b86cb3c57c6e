// SPDX-License-Identifier: Apache-2.0
// A Prometheus beside the cluster, with the configuration that we give to people and the alerts as the chart installs them.
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse, parseAllDocuments, stringify } from "yaml";
import { temporaryFolder } from "../../e2e/harness/folders.ts";
import { type DiscoveredPod, targetGroups } from "../../e2e/harness/pod-discovery.ts";
import { type PrometheusServer, startPrometheusWith } from "../../e2e/harness/prometheus.ts";
import { ensureAptPackages } from "../cluster/apt.ts";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import type { Progress } from "../cluster/progress.ts";
import type { KubeTools } from "./kube-tools.ts";

const EXAMPLE = join(PROJECT_ROOT, "examples/prometheus.yaml");
const DISCOVERY_MS = 1000;

interface Configuration {
  scrape_configs: { kubernetes_sd_configs?: unknown }[];
}

/** Files that a Prometheus reads. */
export interface WatchFiles {
  /** Of `file_sd_configs`. */
  readonly targets: string;
  readonly rules: string;
}

/** `examples/prometheus.yaml`, with its jobs and relabeling as they are, for a Prometheus that reads a file instead of asking Kubernetes. Pure. */
export function configurationFor(example: string, files: WatchFiles): object {
  const { scrape_configs, ...rest } = parse(example) as Configuration;
  return {
    ...rest,
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: [files.rules],
    scrape_configs: scrape_configs.map(({ kubernetes_sd_configs: _replaced, ...job }) => ({
      ...job,
      file_sd_configs: [{ files: [files.targets], refresh_interval: "1s" }],
    })),
  };
}

/** The rules in what Helm renders, each alert with the address of its runbook, as a file of rules. Pure. */
export function rulesIn(rendered: string): string {
  const objects = parseAllDocuments(rendered).map((document) => document.toJS() as { kind?: string; spec?: object });
  const rules = objects.find((object) => object?.kind === "PrometheusRule")?.spec;
  if (rules === undefined) throw new Error("the chart renders no PrometheusRule");
  return stringify(rules);
}

const renderRules = (tools: KubeTools): Promise<string> =>
  tools.helm([
    ...["template", "im-operator", join(PROJECT_ROOT, "charts/im-operator"), "-s", "templates/monitoring.yaml"],
    ...["--set", "monitoring.rules.enabled=true", "--api-versions", "monitoring.coreos.com/v1"],
  ]);

/** A Prometheus beside the cluster. */
export interface ClusterWatch {
  readonly server: PrometheusServer;
  stop(): Promise<void>;
}

/** Starts it; it knows the pods that there are, from second to second. Installs Debian's Prometheus where it is missing. */
export async function watchCluster(tools: KubeTools, progress: Progress): Promise<ClusterWatch> {
  await ensureAptPackages(["prometheus"], { progress });
  const folder = temporaryFolder("imcluster-watch-");
  const files: WatchFiles = { targets: join(folder, "targets.json"), rules: join(folder, "rules.yaml") };
  const discover = async (): Promise<void> => {
    const { items } = await tools.getJson<{ items: DiscoveredPod[] }>(["pods", "--all-namespaces"]);
    writeFileSync(`${files.targets}.new`, JSON.stringify(targetGroups(items)));
    renameSync(`${files.targets}.new`, files.targets);
  };
  writeFileSync(files.rules, rulesIn(await renderRules(tools)));
  await discover();
  const server = await startPrometheusWith(configurationFor(readFileSync(EXAMPLE, "utf8"), files));
  const ended = new AbortController();
  const discovering = (async () => {
    while (!ended.signal.aborted) {
      await sleep(DISCOVERY_MS, undefined, { signal: ended.signal }).catch(() => undefined);
      // An API server that does not answer changes no target, as with real discovery.
      await discover().catch((error: unknown) => progress.line(`pods are not seen: ${String(error).slice(0, 300)}`));
    }
  })();
  return {
    server,
    async stop() {
      ended.abort();
      await discovering;
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
