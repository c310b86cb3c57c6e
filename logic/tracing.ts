// SPDX-License-Identifier: Apache-2.0
import type { Lifecycle } from "#lib/lifecycle.ts";
import type { Metrics } from "#lib/metrics.ts";
import { tracingSettings } from "#lib/tracing/config.ts";
import { observeTracing, openTracing, type Tracing, type TracingPorts } from "#lib/tracing/open-tracing.ts";
import type { ExtlogicConfig, LogicConfig } from "./config.ts";

/** Traces of a process of ours, if its environment asks for them; its counters in any case. */
export async function openProcessTracing(
  component: "logic" | "extlogic",
  config: LogicConfig | ExtlogicConfig,
  { registry, ...ports }: Omit<TracingPorts, "process"> & { registry: Metrics },
  lifecycle: Lifecycle,
): Promise<Tracing | undefined> {
  const { IM_CLUSTER: cluster, IM_POD_NAME: podName, IM_VERSION: version } = config;
  const process = { component, cluster, podName, version };
  const tracing = await openTracing(tracingSettings(config), { process, ...ports });
  if (tracing) lifecycle.onStop("tracing", () => tracing.close());
  observeTracing(registry, tracing);
  return tracing;
}
