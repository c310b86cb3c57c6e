// SPDX-License-Identifier: Apache-2.0
// The operator process: composes, elects a leader, works until told to stop. Losing the Lease ends the process with 1.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { startAdminServer } from "#lib/admin-server.ts";
import { systemClock } from "#lib/clock.ts";
import { Lifecycle } from "#lib/lifecycle.ts";
import { followLogLevel } from "#lib/log-level-file.ts";
import { createLogger } from "#lib/logger.ts";
import { IDLE_SHARE, saveMemoryWhenCalm } from "#lib/memory-reducer.ts";
import { Metrics } from "#lib/metrics.ts";
import { createAdmission } from "./admission/admission.ts";
import { type OperatorConfig, operatorConfig } from "./config.ts";
import { FleetClient } from "./imcluster/fleet-client.ts";
import { EventRecorder } from "./kube/events.ts";
import { LeaderElection } from "./kube/leader-election.ts";
import { createKubeClient, loadKubeConfig } from "./kube/rest-client.ts";
import { createOperatorMetrics, observeOperator } from "./metrics.ts";
import { Operator } from "./operator.ts";

const LEASE = "im-operator";
/** Within the chart's terminationGracePeriodSeconds of 30. */
const STOP_DEADLINE_MS = 20_000;

function packageVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

async function main(config: OperatorConfig): Promise<void> {
  const log = createLogger("operator", config.IM_LOG_LEVEL);
  const version = config.IM_VERSION ?? packageVersion();
  const registry = new Metrics({ component: "operator", version }, { runtime: true });
  const metrics = createOperatorMetrics(registry);
  const lifecycle = new Lifecycle(log);
  lifecycle.onStop("log level", followLogLevel({ dir: config.IM_LOG_LEVEL_DIR, log, clock: systemClock }));
  lifecycle.installSignals(STOP_DEADLINE_MS);

  const client = createKubeClient({
    kubeConfig: loadKubeConfig(),
    onCall: metrics.onApiCall,
    onWarning: (warning) => log.warn({ warning }, "the API server warns"),
  });
  lifecycle.onStop("client", () => client.close());
  const events = new EventRecorder({ client, log, instance: config.IM_POD_NAME });
  lifecycle.onStop("events", () => events.close());
  const fleet = new FleetClient({ clock: systemClock, log });
  lifecycle.onStop("fleet", () => fleet.close());
  const operator = new Operator({
    ...{ client, fleet, events, log, metrics },
    namespaces: config.IM_WATCH_NAMESPACES,
    // Nodes are of no namespace: an operator that is confined to some may not see them.
    drainTaints: config.IM_WATCH_NAMESPACES.length > 0 ? [] : config.IM_DRAIN_TAINTS,
    workers: config.IM_WORKERS,
    operands: {
      operandImage: config.IM_OPERAND_IMAGE,
      postgresImage: config.IM_POSTGRES_IMAGE,
      redisImage: config.IM_REDIS_IMAGE,
      clusterDomain: config.IM_CLUSTER_DOMAIN,
      operatorNamespace: config.IM_POD_NAMESPACE,
      operatorVersion: version,
    },
  });
  const election = electLeader(config, client, log, () => void lead(operator, log));
  observeOperator(registry, { isLeader: () => isLeading(election), clusters: () => operator.clusters });
  const admin = await startAdminServer({
    port: config.IM_ADMIN_PORT,
    metrics: registry,
    isReady: () => operator.isSynced,
    debug: () => ({ version, isLeader: isLeading(election), leader: election?.leader, isSynced: operator.isSynced }),
  });
  lifecycle.onStop("admin", () => admin.close());
  // Registered before the operator, so it runs after: the Lease is given back when nothing is written any more.
  lifecycle.onStop("election", () => election?.close());
  lifecycle.onStop("operator", () => operator.close());
  lifecycle.onStop("memory reducer", saveMemoryWhenCalm(systemClock, { calmShare: IDLE_SHARE }));
  operator.watch();
  // In every replica: the API server asks any of them.
  if (config.IM_ADMISSION) {
    const admission = createAdmission({
      ...{ name: config.IM_ADMISSION, namespace: config.IM_POD_NAMESPACE, port: config.IM_WEBHOOK_PORT },
      ...{ client, fleet: operator.fleetView, clock: systemClock, log, onEviction: metrics.onEviction },
    });
    void admission.certificate.start();
    lifecycle.onStop("admission", () => admission.close());
  }
  if (election) election.start();
  else await lead(operator, log);
  log.info({ version, namespaces: config.IM_WATCH_NAMESPACES }, "operator runs");
}

function isLeading(election: LeaderElection | undefined): boolean {
  return election?.isLeader ?? true;
}

async function lead(operator: Operator, log: ReturnType<typeof createLogger>): Promise<void> {
  try {
    await operator.work();
    log.info({}, "leading");
  } catch (err) {
    log.error({ err }, "cannot start to work");
    process.exit(1);
  }
}

function electLeader(
  config: OperatorConfig,
  client: ReturnType<typeof createKubeClient>,
  log: ReturnType<typeof createLogger>,
  onLeading: () => void,
): LeaderElection | undefined {
  if (!config.IM_LEADER_ELECT) return undefined;
  return new LeaderElection({
    client,
    namespace: config.IM_POD_NAMESPACE,
    name: LEASE,
    identity: `${config.IM_POD_NAME}_${randomUUID()}`,
    log,
    onLeading,
    onLost: (reason) => {
      // At once and without cleaning up: somebody else may lead already.
      log.error({ reason }, "leadership lost");
      process.exit(1);
    },
  });
}

main(operatorConfig()).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
