// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import type { KubeTools } from "../../scripts/up/kube-tools.ts";
import { type DiscoveredPod, targetGroups } from "../harness/pod-discovery.ts";
import { type PrometheusServer, startPrometheusWith } from "../harness/prometheus.ts";

const EXAMPLE = join(PROJECT_ROOT, "examples/prometheus.yaml");
const RULES = join(PROJECT_ROOT, "charts/im-operator/files/rules.yaml");
const DISCOVERY_MS = 1000;

interface Configuration {
  scrape_configs: { kubernetes_sd_configs?: unknown }[];
}

/** `examples/prometheus.yaml`, with its jobs and relabeling as they are, for a Prometheus that reads `targets` instead of asking Kubernetes. */
export function configurationFor(example: string, targets: string): object {
  const { scrape_configs, ...rest } = parse(example) as Configuration;
  return {
    ...rest,
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: [RULES],
    scrape_configs: scrape_configs.map(({ kubernetes_sd_configs: _replaced, ...job }) => ({
      ...job,
      file_sd_configs: [{ files: [targets], refresh_interval: "1s" }],
    })),
  };
}

/** A Prometheus beside the cluster. */
export interface ClusterPrometheus {
  readonly server: PrometheusServer;
  stop(): Promise<void>;
}

/** Watches the cluster with the configuration that we give to people, with our alerts. */
export async function startClusterPrometheus(tools: KubeTools): Promise<ClusterPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), "im-cluster-prometheus-"));
  const targets = join(folder, "targets.json");
  const discover = async (): Promise<void> => {
    const { items } = await tools.getJson<{ items: DiscoveredPod[] }>(["pods", "--all-namespaces"]);
    writeFileSync(`${targets}.new`, JSON.stringify(targetGroups(items)));
    renameSync(`${targets}.new`, targets);
  };
  await discover();
  const server = await startPrometheusWith(configurationFor(readFileSync(EXAMPLE, "utf8"), targets));
  const ended = new AbortController();
  const discovering = (async () => {
    while (!ended.signal.aborted) {
      await sleep(DISCOVERY_MS);
      // An API server that does not answer changes no target, as with real discovery.
      await discover().catch((error: unknown) => console.error(`discovery: ${String(error)}`));
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
