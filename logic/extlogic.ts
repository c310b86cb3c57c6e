// SPDX-License-Identifier: Apache-2.0
import { startAdminServer } from "#lib/admin-server.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { loadConfig } from "#lib/config.ts";
import { Lifecycle } from "#lib/lifecycle.ts";
import { followLogLevel } from "#lib/log-level-file.ts";
import { createLogger, type Logger } from "#lib/logger.ts";
import { IDLE_SHARE, saveMemoryWhenCalm } from "#lib/memory-reducer.ts";
import { Metrics } from "#lib/metrics.ts";
import { connectRedis } from "#lib/redis.ts";
import { type ExtlogicConfig, extlogicSchema } from "./config.ts";
import { createFaultLog } from "./faults.ts";
import { HealthPoll } from "./health.ts";
import { openHooks } from "./hooks/compose-hooks.ts";
import { wantsEvent } from "./hooks/hook-settings.ts";
import { PushResults } from "./hooks/push-results.ts";
import { composePush } from "./push/compose-push.ts";
import { PushConsumer } from "./push/consumer.ts";
import { buryLetters } from "./push/dead-letters.ts";
import { createPushMetrics, observePushes } from "./push/metrics.ts";
import { Reconciler } from "./push/reconciler.ts";
import type { PushLetter } from "./push/step-schedule.ts";
import { openTokenSeal } from "./push-token-keys.ts";
import { createRetentionMetrics, RetentionJob } from "./retention/retention.ts";
import { openPostgresStore } from "./store/postgres-store.ts";
import { StoreClock } from "./store/store-clock.ts";
import { observeStatements } from "./store/store-metrics.ts";
import { openProcessTracing } from "./tracing.ts";

/** What the fast way needs beyond the ack timeout: a look at the wheel, the queue, the provider. */
const RECONCILE_SLACK_MS = 2000;
const DAY_MS = 86_400_000;
const STOP_DEADLINE_MS = 10_000;

/** What a test may replace. */
export interface ExtlogicDeps {
  log?: Logger;
  clock?: Clock;
  random?: () => number;
  /** Age at which an unanswered intent is taken over, ms. */
  claimIdleMs?: number;
}

/** A running extlogic process. */
export interface Extlogic {
  adminPort: number;
  lifecycle: Lifecycle;
}

/** Starts the consumer of push intents and the reconciler. Works while Redis is away: what is late is pushed from SQL. */
export async function startExtlogic(config: ExtlogicConfig, deps: ExtlogicDeps = {}): Promise<Extlogic> {
  const own = createLogger("extlogic", config.IM_LOG_LEVEL);
  const log = deps.log ?? own;
  const lifecycle = new Lifecycle(log);
  const clock = deps.clock ?? systemClock;
  lifecycle.onStop("log level", followLogLevel({ dir: config.IM_LOG_LEVEL_DIR, log: own, clock }));
  try {
    return await start(config, { ...deps, log }, lifecycle);
  } catch (error) {
    await lifecycle.stop("could not start");
    throw error;
  }
}

async function start(
  config: ExtlogicConfig,
  deps: ExtlogicDeps & { log: Logger },
  lifecycle: Lifecycle,
): Promise<Extlogic> {
  const { log } = deps;
  // All replicas go by the database's time: their own wall clocks may differ by hours.
  const clock = new StoreClock(deps.clock ?? systemClock);
  const random = deps.random ?? Math.random;
  const onFault = createFaultLog(log, clock);
  const metrics = new Metrics({ component: "extlogic", version: config.IM_VERSION }, { runtime: true });
  let health: HealthPoll | undefined;
  // First up and last down: probes and metrics work while the rest starts and stops.
  const admin = await startAdminServer({
    port: config.IM_ADMIN_PORT,
    metrics,
    isReady: () => health?.isHealthy === true && !lifecycle.isStopping,
  });
  lifecycle.onStop("admin", () => admin.close());
  const tokenSeal = await openTokenSeal(config.IM_PUSH_TOKEN_KEYS_FILE);
  const observe = observeStatements(metrics);
  const options = { url: config.IM_POSTGRES_URL, name: "extlogic", appendConnections: 1, tokenSeal, observe };
  const store = await openPostgresStore(options);
  lifecycle.onStop("store", () => store.close());
  const redis = connectRedis(config.IM_QUEUE_REDIS_URL ?? config.IM_REDIS_URL, {
    name: `extlogic-${config.IM_POD_NAME}`,
    onError: (error) => onFault("redis", error),
  });
  lifecycle.onStop("redis", () => redis.disconnect());
  const pushMetrics = createPushMetrics(metrics);
  const bury = async (letters: readonly PushLetter[]): Promise<void> => {
    await buryLetters(redis, letters);
    pushMetrics.deadLetters.inc({ reason: "scheduled" }, letters.length);
  };
  const common = { store, clock, random, log, metrics: pushMetrics };
  const hooks = await openHooks(config, { ...common, store: store.hooks, onFault, registry: metrics }, lifecycle);
  const results = new PushResults({
    ...{ store: store.hooks, defer: setImmediate, onFault },
    isWanted: () => wantsEvent(hooks.current(), "push.result"),
  });
  const onResult = results.tell.bind(results);
  const tracing = await openProcessTracing("extlogic", config, { clock, random, log, registry: metrics }, lifecycle);
  const { tracer } = tracing ?? {};
  const push = composePush(config, { ...common, tracer, bury, defer: setImmediate, onFault, onResult });
  lifecycle.onStop("push", () => push.stop());
  push.schedule.start();
  const ports = { ...common, redis, dispatch: push.dispatch };
  const reconciler = new Reconciler({
    ...ports,
    olderThanMs: config.IM_ACK_TIMEOUT_MS + RECONCILE_SLACK_MS,
    ...(push.policy.readBy === "mobile" ? { readByClass: "mobile" } : {}),
  });
  const consumer = new PushConsumer({
    ...ports,
    consumer: `${config.IM_POD_NAME}-${config.IM_POD_UID}`,
    tracer,
    ...(deps.claimIdleMs === undefined ? {} : { claimIdleMs: deps.claimIdleMs }),
  });
  consumer.start();
  reconciler.start(consumer.caughtUp);
  lifecycle.onStop("consumer", () => consumer.stop());
  lifecycle.onStop("reconciler", () => reconciler.stop());
  const retention = new RetentionJob({
    store: store.retention,
    changes: store.changes,
    policy: store.policy,
    broadcasts: store.broadcasts,
    limits: {
      keepMs: config.IM_RETENTION_DAYS * DAY_MS,
      tenantKeepMs: new Map([...(config.IM_RETENTION_TENANTS ?? [])].map(([tenant, days]) => [tenant, days * DAY_MS])),
      keepKeysMs: config.IM_IDEMPOTENCY_DAYS * DAY_MS,
      keepBroadcastsMs: config.IM_BROADCAST_DAYS * DAY_MS,
    },
    ...{ clock, random, onFault, log, metrics: createRetentionMetrics(metrics) },
  });
  retention.start();
  lifecycle.onStop("retention", () => retention.stop());
  observePushes(metrics, {
    streamLength: () => consumer.backlog.length,
    streamOldestMs: () => consumer.backlog.oldestMs,
    stepsWaiting: () => push.schedule.backlog.waiting,
    stepsOverdueMs: () => push.schedule.backlog.overdueMs,
  });
  health = new HealthPoll(() => store.ping(), clock);
  await health.start();
  lifecycle.onStop("health", () => health?.stop());
  log.info({ adminPort: admin.port, providers: [...push.channels.keys()] }, "extlogic is up");
  return { adminPort: admin.port, lifecycle };
}

if (import.meta.main) {
  try {
    const { lifecycle } = await startExtlogic(loadConfig(extlogicSchema));
    lifecycle.onStop("memory reducer", saveMemoryWhenCalm(systemClock, { calmShare: IDLE_SHARE }));
    lifecycle.installSignals(STOP_DEADLINE_MS);
  } catch (error) {
    createLogger("extlogic").error({ err: error }, "cannot start");
    process.exit(1);
  }
}
