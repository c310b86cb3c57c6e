// SPDX-License-Identifier: Apache-2.0
import { systemClock } from "#lib/clock.ts";
import { toImError } from "#lib/errors.ts";
import { Lifecycle } from "#lib/lifecycle.ts";
import { followLogLevel } from "#lib/log-level-file.ts";
import { createLogger } from "#lib/logger.ts";
import { saveMemoryWhenCalm } from "#lib/memory-reducer.ts";
import { openTracing } from "#lib/tracing/open-tracing.ts";
import { loadEntryConfig } from "./config.ts";
import { startEntry } from "./entry.ts";

/** On top of the drain deadline: closing sockets and streams. */
const STOP_GRACE_MS = 8000;

try {
  const config = loadEntryConfig();
  const log = createLogger("entry", config.logLevel);
  const lifecycle = new Lifecycle(log);
  lifecycle.onStop("log level", followLogLevel({ dir: config.logLevelDir, log, clock: systemClock }));
  const { podName, version, cluster } = config;
  const tracing = await openTracing(config.tracing, {
    process: { component: "entry", cluster, podName, version },
    ...{ clock: systemClock, random: Math.random, log },
  });
  // First here, and so the last to stop.
  if (tracing) lifecycle.onStop("tracing", () => tracing.close());
  const entry = await startEntry(config, { log, tracing });
  lifecycle.onStop("memory reducer", saveMemoryWhenCalm(systemClock));
  lifecycle.onStop("listeners", () => entry.close());
  const { drainWindowMs: windowMs, drainDeadlineMs: deadlineMs } = config;
  lifecycle.onStop("drain", () => entry.drainAll({ drainId: "sigterm", windowMs, deadlineMs, isFinal: true }));
  lifecycle.installSignals(config.drainDeadlineMs + STOP_GRACE_MS);
} catch (thrown) {
  process.stderr.write(`entry cannot start: ${toImError(thrown).message}\n`);
  process.exit(1);
}
