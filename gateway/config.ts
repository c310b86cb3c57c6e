// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import * as z from "zod";
import {
  envBool,
  envDurationMs,
  envInt,
  envList,
  envLogLevel,
  envLogLevelDir,
  envPort,
  envString,
  loadConfig,
} from "#lib/config.ts";
import { ENDPOINT_KINDS, type Endpoint, MAX_ENDPOINTS, parseEndpoint } from "#lib/endpoint.ts";
import { type TracingSettings, tracingSettings, tracingShape } from "#lib/tracing/config.ts";
import type { LimitsConfig } from "./gate.ts";
import { AddressRanges } from "./listen/proxy.ts";
import { HEARTBEAT_ALGORITHMS, type HeartbeatAlgorithm } from "./session/heartbeat/algorithms.ts";

function areRanges(cidrs: readonly string[], context: z.RefinementCtx): void {
  try {
    new AddressRanges(cidrs);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as RangeError).message });
  }
}

function areEndpoints(texts: readonly string[], context: z.RefinementCtx): void {
  const wrong = texts.find((text) => !parseEndpoint(text));
  if (wrong !== undefined) {
    const message = `"${wrong}" is no endpoint: ${ENDPOINT_KINDS.join(", ")}, then =HOST, :PORT and *WEIGHT where they matter`;
    context.addIssue({ code: "custom", message });
  }
  if (texts.length > MAX_ENDPOINTS)
    context.addIssue({ code: "custom", message: `more than ${MAX_ENDPOINTS} endpoints` });
}

/** Environment of the entry process; docs/configuration is generated from the descriptions. */
export const entryEnv = z.object({
  IM_CLUSTER: envString(63).default("imcluster").describe("the name of the ImCluster"),
  IM_NAMESPACE: envString(63).default("default").describe("the namespace of the pod"),
  IM_POD_NAME: envString(253).default("entry").describe("metadata.name of the pod"),
  IM_POD_UID: envString(64).default(randomUUID).describe("metadata.uid of the pod"),
  IM_POD_IP: envString(45).default("127.0.0.1").describe("the address where other entries reach this one"),
  IM_VERSION: envString(64).default("dev").describe("the version that runs, for people"),
  IM_LOG_LEVEL: envLogLevel().default("info"),
  IM_LOG_LEVEL_DIR: envLogLevelDir().optional(),
  IM_ADMIN_PORT: envPort().default(9090).describe("a free TCP port for /livez /readyz /metrics"),
  IM_INTERNAL_TLS_DIR: envString().optional().describe("a folder with ca.crt, tls.crt and tls.key; unset = plaintext"),
  IM_TLS_PORT: envPort().default(8443).describe("a free TCP port for clients"),
  IM_TLS_DIR: envString().default("/etc/imcluster/tls").describe("a folder with tls.crt and tls.key"),
  IM_TLS_MIN_VERSION: z
    .enum(["TLSv1.2", "TLSv1.3"])
    .default("TLSv1.3")
    .describe("TLSv1.3, or TLSv1.2 for clients that cannot do better"),
  IM_TLS_RELOAD_MS: envDurationMs(50, 3_600_000)
    .default(5000)
    .describe("how often IM_TLS_DIR is looked at for a new certificate"),
  IM_HTTP_PORT: envPort().default(8080).describe("a free TCP port that redirects to https"),
  IM_CONTROL_PORT: envPort().default(9443).describe("a free TCP port for the operator"),
  IM_PLAIN_PORT: envPort().optional().describe("a free TCP port without TLS, for development only"),
  IM_HTTP_ORIGINS: envList().default([]).describe("origins of other hosts whose pages may connect, comma separated"),
  IM_ENDPOINTS: envList()
    .superRefine(areEndpoints)
    .default([])
    .describe("the public addresses that /v1/endpoints lists, comma separated, such as direct=im-1.example.com:443*2"),
  IM_LOGIC_TARGETS: envList().describe("host:port of every logic, comma separated, or dns:host:port"),
  IM_MAX_CONNECTIONS: envInt(1, 1_000_000).default(20_000).describe("the connections one entry may hold"),
  IM_LOGIN_TIMEOUT_MS: envDurationMs(100, 120_000).default(10_000).describe("the time a client has to log in"),
  IM_PROXY_CIDRS: envList()
    .superRefine(areRanges)
    .default([])
    .describe(
      "address ranges of load balancers that write a PROXY v2 header, comma separated; unset = no PROXY protocol",
    ),
  IM_LIMIT_PEER_ADDRESSES: envBool()
    .default(false)
    .describe("true when no load balancer hides the addresses of clients: limits per address count peers, then"),
  IM_ADDRESS_CONNECTIONS_PER_SECOND: envInt(0, 100_000)
    .default(50)
    .describe("the new connections per second of one known address, ten times that at once; 0 = any"),
  IM_ADDRESS_CONNECTIONS: envInt(0, 1_000_000).default(2000).describe("the connections of one known address; 0 = any"),
  IM_ADDRESS_FAILED_LOGINS_PER_MINUTE: envInt(0, 100_000)
    .default(60)
    .describe("the invalid tokens per minute of one known address; 0 = any"),
  IM_FRAMES_PER_SECOND: envInt(0, 1_000_000)
    .default(500)
    .describe("the frames per second that one session is read, ten times that at once; 0 = any"),
  IM_BYTES_PER_SECOND: envInt(0, 1_000_000_000)
    .default(2 * 1024 * 1024)
    .describe("the bytes per second that one session is read, ten times that at once; 0 = any"),
  IM_USER_MESSAGES_PER_SECOND: envInt(0, 1_000_000)
    .default(200)
    .describe("the messages per second of one user on one entry, ten times that at once; 0 = any"),
  IM_SHED_LAG_MS: envDurationMs(0, 60_000)
    .default(500)
    .describe("the event-loop lag from which new connections are turned away; 0 = never"),
  IM_SHED_MEMORY_PERCENT: envInt(1, 100)
    .default(90)
    .describe("the share of the memory limit from which new connections are turned away"),
  IM_PING_INTERVAL_MS: envDurationMs(1000, 600_000).default(30_000).describe("how often clients ping"),
  IM_HEARTBEAT: z
    .enum(HEARTBEAT_ALGORITHMS)
    .default("wheel")
    .describe("how silent connections are found: wheel, scan, list or buckets"),
  IM_DRAIN_WINDOW_MS: envDurationMs().default(5000).describe("the time over which clients move on SIGTERM"),
  IM_DRAIN_DEADLINE_MS: envDurationMs().default(20_000).describe("the time after which the rest is closed on SIGTERM"),
  IM_PODINFO_DIR: envString()
    .optional()
    .describe("a folder with the file drain: what the operator has noted on the pod; unset = nothing"),
  ...tracingShape,
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
  tlsMinVersion: "TLSv1.2" | "TLSv1.3";
  tlsReloadMs: number;
  httpPort: number;
  controlPort: number;
  plainPort: number | undefined;
  /** Origins of other hosts whose pages may use the HTTP carrier. */
  httpOrigins: readonly string[];
  /** For clients that cannot reach the one they know. */
  endpoints: readonly Endpoint[];
  logicTargets: readonly string[];
  maxConnections: number;
  limits: LimitsConfig;
  loginTimeoutMs: number;
  pingIntervalMs: number;
  heartbeat: HeartbeatAlgorithm;
  drainWindowMs: number;
  drainDeadlineMs: number;
  /** Undefined: no operator notes anything. */
  podinfoDir: string | undefined;
  demoDir: string | undefined;
  logLevel: string;
  /** Undefined: the level stays. */
  logLevelDir: string | undefined;
  cluster: string;
  tracing: TracingSettings;
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
    tlsMinVersion: vars.IM_TLS_MIN_VERSION,
    tlsReloadMs: vars.IM_TLS_RELOAD_MS,
    httpPort: vars.IM_HTTP_PORT,
    controlPort: vars.IM_CONTROL_PORT,
    plainPort: vars.IM_PLAIN_PORT,
    httpOrigins: vars.IM_HTTP_ORIGINS,
    endpoints: vars.IM_ENDPOINTS.flatMap((text) => parseEndpoint(text) ?? []),
    logicTargets: vars.IM_LOGIC_TARGETS,
    maxConnections: vars.IM_MAX_CONNECTIONS,
    limits: {
      proxyCidrs: vars.IM_PROXY_CIDRS,
      limitsPeers: vars.IM_LIMIT_PEER_ADDRESSES,
      addressConnectionsPerSecond: vars.IM_ADDRESS_CONNECTIONS_PER_SECOND,
      addressConnections: vars.IM_ADDRESS_CONNECTIONS,
      addressFailedLoginsPerMinute: vars.IM_ADDRESS_FAILED_LOGINS_PER_MINUTE,
      framesPerSecond: vars.IM_FRAMES_PER_SECOND,
      bytesPerSecond: vars.IM_BYTES_PER_SECOND,
      userMessagesPerSecond: vars.IM_USER_MESSAGES_PER_SECOND,
      shedLagMs: vars.IM_SHED_LAG_MS,
      shedMemoryPercent: vars.IM_SHED_MEMORY_PERCENT,
    },
    loginTimeoutMs: vars.IM_LOGIN_TIMEOUT_MS,
    pingIntervalMs: vars.IM_PING_INTERVAL_MS,
    heartbeat: vars.IM_HEARTBEAT,
    drainWindowMs: vars.IM_DRAIN_WINDOW_MS,
    drainDeadlineMs: vars.IM_DRAIN_DEADLINE_MS,
    podinfoDir: vars.IM_PODINFO_DIR,
    demoDir: vars.IM_DEMO_DIR,
    logLevel: vars.IM_LOG_LEVEL,
    logLevelDir: vars.IM_LOG_LEVEL_DIR,
    cluster: vars.IM_CLUSTER,
    tracing: tracingSettings(vars),
  };
}
