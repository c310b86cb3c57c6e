// SPDX-License-Identifier: Apache-2.0
import type { BuildContext } from "./context.ts";
import { type EnvVar, type Mount, secretMount } from "./pod-parts.ts";

const TRACING_DIR = "/etc/imcluster/tracing";

/** The headers for the collector: they may hold a credential, so they are a file. */
export function tracingMounts({ cluster }: BuildContext): Mount[] {
  const headers = cluster.spec.tracing?.headersSecretRef;
  return headers ? [secretMount("tracing", headers.name, TRACING_DIR, { [headers.key]: "headers" })] : [];
}

/** Settings of whatever takes part in traces: the same in every pod, so that a trace goes through all of them. */
export function tracingEnv({ cluster }: BuildContext): EnvVar[] {
  const { tracing } = cluster.spec;
  if (!tracing) return [];
  const headers = { name: "OTEL_EXPORTER_OTLP_HEADERS_FILE", value: `${TRACING_DIR}/headers` };
  return [
    { name: "OTEL_EXPORTER_OTLP_ENDPOINT", value: tracing.endpoint },
    { name: "IM_TRACE_RATIO", value: tracing.ratio },
    { name: "IM_TRACES_PER_SECOND", value: String(tracing.maxPerSecond) },
    ...(tracing.headersSecretRef ? [headers] : []),
  ];
}

/** Pods read the headers at their start. Without any, nothing: then no hash of what is there changes. */
export function tracingHash({ cluster, hashes }: BuildContext): string[] {
  return cluster.spec.tracing?.headersSecretRef ? [hashes.tracing] : [];
}
