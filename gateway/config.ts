// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { envDurationMs, envInt, envList, envPort, envString, loadConfig, z } from "#lib/config.ts";
import { HEARTBEAT_ALGORITHMS, type HeartbeatAlgorithm } from "./session/heartbeat/algorithms.ts";

/** Environment of the entry process; docs/configuration is generated from the descriptions. */
export const entryEnv = z.object({
  IM_CLUSTER: envString(63).default("imcluster").describe("the name of the ImCluster"),
  IM_NAMESPACE: envString(63).default("default").describe("the namespace of the pod"),
  IM_POD_NAME: envString(253).default("entry").describe("metadata.name of the pod"),
  IM_POD_UID: envString(64).default(randomUUID).describe("metadata.uid of the pod"),
  IM_POD_IP: envString(45).default("127.0.0.1").describe("the address where other entries reach this one"),
  IM_VERSION: envString(64).default("dev").describe("the version that runs, for people"),
  IM_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info").describe("debug, info, warn or error"),
  IM_ADMIN_PORT: envPort().default(9090).describe("a free TCP port for /livez /readyz /metrics"),
  IM_INTERNAL_TLS_DIR: envString().optional().describe("a folder with ca.crt, tls.crt and tls.key; unset = plaintext"),
  IM_TLS_PORT: envPort().default(8443).describe("a free TCP port for clients"),
  IM_TLS_DIR: envString().default("/etc/imcluster/tls").describe("a folder with tls.crt and tls.key"),
  IM_TLS_RELOAD_MS: envDurationMs(50, 3_600_000)
    .default(5000)
    .describe("how often IM_TLS_DIR is looked at for a new certificate"),
  IM_HTTP_PORT: envPort().default(8080).describe("a free TCP port that redirects to https"),
  IM_CONTROL_PORT: envPort().default(9443).describe("a free TCP port for the operator"),
  IM_PLAIN_PORT: envPort().optional().describe("a free TCP port without TLS, for development only"),
  IM_HTTP_ORIGINS: envList().default([]).describe("origins of other hosts whose pages may use HTTP, comma separated"),
  IM_LOGIC_TARGETS: envList().describe("host:port of every logic, comma separated, or dns:host:port"),
  IM_MAX_CONNECTIONS: envInt(1, 1_000_000).default(20_000).describe("the connections one entry may hold"),
  IM_LOGIN_TIMEOUT_MS: envDurationMs(100, 120_000).default(10_000).describe("the time a client has to log in"),
  IM_PING_INTERVAL_MS: envDurationMs(1000, 600_000).default(30_000).describe("how often clients ping"),
  IM_HEARTBEAT: z
    .enum(HEARTBEAT_ALGORITHMS)
    .default("wheel")
    .describe("how silent connections are found: wheel, scan, list or buckets"),
  IM_DRAIN_WINDOW_MS: envDurationMs().default(5000).describe("the time over which clients move on SIGTERM"),
  IM_DRAIN_DEADLINE_MS: envDurationMs().default(20_000).describe("the time after which the rest is closed on SIGTERM"),
  IM_DEMO_DIR: envString().optional().describe("a folder of static files for /demo/; unset = no demo"),
});

/** Configuration of one entry. */
export interface EntryConfig {
  podName: string;
  podUid: string;
  /** Where other entries reach this one. */
  podIp: string;
  version: string;
  adminPort: number;
  internalTlsDir: string | undefined;
  tlsPort: number;
  /** Undefined: no TLS listener (tests only). */
  tlsDir: string | undefined;
  tlsReloadMs: number;
  httpPort: number;
  controlPort: number;
  plainPort: number | undefined;
  /** Origins of other hosts whose pages may use the HTTP carrier. */
  httpOrigins: readonly string[];
  logicTargets: readonly string[];
  maxConnections: number;
  loginTimeoutMs: number;
  pingIntervalMs: number;
  heartbeat: HeartbeatAlgorithm;
  drainWindowMs: number;
  drainDeadlineMs: number;
  demoDir: string | undefined;
  logLevel: string;
}

/** @throws {ImError} BAD_REQUEST that lists every bad variable */
export function loadEntryConfig(env?: Readonly<Record<string, string | undefined>>): EntryConfig {
  const vars = loadConfig(entryEnv, env);
  return {
    podName: vars.IM_POD_NAME,
    podUid: vars.IM_POD_UID,
    podIp: vars.IM_POD_IP,
    version: vars.IM_VERSION,
    adminPort: vars.IM_ADMIN_PORT,
    internalTlsDir: vars.IM_INTERNAL_TLS_DIR,
    tlsPort: vars.IM_TLS_PORT,
    tlsDir: vars.IM_TLS_DIR,
    tlsReloadMs: vars.IM_TLS_RELOAD_MS,
    httpPort: vars.IM_HTTP_PORT,
    controlPort: vars.IM_CONTROL_PORT,
    plainPort: vars.IM_PLAIN_PORT,
    httpOrigins: vars.IM_HTTP_ORIGINS,
    logicTargets: vars.IM_LOGIC_TARGETS,
    maxConnections: vars.IM_MAX_CONNECTIONS,
    loginTimeoutMs: vars.IM_LOGIN_TIMEOUT_MS,
    pingIntervalMs: vars.IM_PING_INTERVAL_MS,
    heartbeat: vars.IM_HEARTBEAT,
    drainWindowMs: vars.IM_DRAIN_WINDOW_MS,
    drainDeadlineMs: vars.IM_DRAIN_DEADLINE_MS,
    demoDir: vars.IM_DEMO_DIR,
    logLevel: vars.IM_LOG_LEVEL,
  };
}
