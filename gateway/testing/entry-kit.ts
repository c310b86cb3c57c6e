// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { silentLogger } from "#lib/logger.ts";
import type { EntryConfig } from "../config.ts";
import { type EntryDeps, type RunningEntry, startEntry } from "../entry.ts";
import type { LimitsConfig } from "../gate.ts";
import { waitFor } from "./wait.ts";

/** Nothing is limited, and nobody turned away. */
export const NO_LIMITS_CONFIG: LimitsConfig = {
  proxyCidrs: [],
  limitsPeers: false,
  addressConnectionsPerSecond: 0,
  addressConnections: 0,
  addressFailedLoginsPerMinute: 0,
  framesPerSecond: 0,
  bytesPerSecond: 0,
  userMessagesPerSecond: 0,
  shedLagMs: 0,
  shedMemoryPercent: 100,
};

/** An entry in this process, on loopback, without TLS unless asked for. */
export async function startTestEntry(
  targets: readonly string[],
  config: Partial<EntryConfig> = {},
  deps: EntryDeps = {},
): Promise<RunningEntry & { plainPort: number }> {
  const entry = await startEntry(
    {
      podName: "entry-test",
      podUid: randomUUID(),
      podIp: "127.0.0.1",
      version: "test",
      adminPort: 0,
      internalTlsDir: undefined,
      tlsPort: 0,
      tlsDir: undefined,
      tlsMinVersion: "TLSv1.3",
      tlsReloadMs: 5000,
      httpPort: 0,
      controlPort: 0,
      plainPort: 0,
      httpOrigins: [],
      endpoints: [],
      logicTargets: targets,
      maxConnections: 1000,
      limits: NO_LIMITS_CONFIG,
      loginTimeoutMs: 10_000,
      pingIntervalMs: 30_000,
      heartbeat: "wheel",
      drainWindowMs: 0,
      drainDeadlineMs: 0,
      podinfoDir: undefined,
      demoDir: undefined,
      logLevel: "error",
      logLevelDir: undefined,
      cluster: "test",
      tracing: { endpoint: undefined, headers: {}, ratio: 0, perSecond: 1 },
      ...config,
    },
    { log: silentLogger, host: "127.0.0.1", onFenced: () => undefined, ...deps },
  );
  return Object.assign(entry, { plainPort: entry.ports.plain ?? 0 });
}

/** As {@link startTestEntry}, once it is ready. */
export async function startReadyEntry(
  targets: readonly string[],
  config: Partial<EntryConfig> = {},
  deps: EntryDeps = {},
): Promise<RunningEntry & { plainPort: number }> {
  const entry = await startTestEntry(targets, config, deps);
  await waitFor("ready entry", () => entry.isReady);
  return entry;
}
