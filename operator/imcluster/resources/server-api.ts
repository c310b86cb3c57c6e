// SPDX-License-Identifier: Apache-2.0
import type { LogicServerApiSpec } from "../../api/v1alpha1.ts";
import { PORT } from "../names.ts";
import { type EnvVar, type Mount, secretMount } from "./pod-parts.ts";

const KEYS_DIR = "/etc/imcluster/api-keys";
const TLS_DIR = "/etc/imcluster/api-tls";

/** Keys and certificate of the server API. Logic follows both files, so that no pod rolls for them. */
export function serverApiMounts(api: LogicServerApiSpec | undefined): Mount[] {
  const { keysSecretRef: keys, tlsSecretName } = api ?? {};
  return [
    ...(keys ? [secretMount("api-keys", keys.name, KEYS_DIR, { [keys.key]: "keys.json" })] : []),
    ...(tlsSecretName ? [secretMount("api-tls", tlsSecretName, TLS_DIR)] : []),
  ];
}

/** Settings of the server API; none: it is off. */
export function serverApiEnv(api: LogicServerApiSpec | undefined): EnvVar[] {
  if (!api) return [];
  return [
    { name: "IM_API_PORT", value: String(PORT.api) },
    ...(api.grpc ? [{ name: "IM_API_GRPC_PORT", value: String(PORT.apiGrpc) }] : []),
    ...(api.keysSecretRef ? [{ name: "IM_API_KEYS_FILE", value: `${KEYS_DIR}/keys.json` }] : []),
    ...(api.tlsSecretName ? [{ name: "IM_API_TLS_DIR", value: TLS_DIR }] : []),
    { name: "IM_API_RATE_PER_SECOND", value: String(api.ratePerSecond) },
    { name: "IM_API_AUDIT_DAYS", value: String(api.auditDays) },
  ];
}
