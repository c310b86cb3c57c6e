// SPDX-License-Identifier: Apache-2.0
import { startAdminServer } from "#lib/admin-server.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { loadConfig } from "#lib/config.ts";
import { Lifecycle } from "#lib/lifecycle.ts";
import { createLogger, type Logger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { createRedis } from "#lib/redis.ts";
import { type ExtlogicConfig, extlogicSchema } from "./config.ts";
import { createFaultLog } from "./faults.ts";
import { HealthPoll } from "./health.ts";
import { PushConsumer } from "./push/consumer.ts";
import { createPushMetrics } from "./push/metrics.ts";
import { logProvider, type PushProvider } from "./push/provider.ts";
import { Reconciler } from "./push/reconciler.ts";
import { WebhookProvider } from "./push/webhook.ts";
import { openPostgresStore } from "./store/postgres-store.ts";

/** What the fast way needs beyond the ack timeout: a look at the wheel, the queue, the provider. */
const RECONCILE_SLACK_MS = 2000;
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
  const log = deps.log ?? createLogger("extlogic", config.IM_LOG_LEVEL);
  const lifecycle = new Lifecycle(log);
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
  const clock = deps.clock ?? systemClock;
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
  const store = await openPostgresStore({ url: config.IM_POSTGRES_URL, name: "extlogic", appendConnections: 1 });
  lifecycle.onStop("store", () => store.close());
  const redis = createRedis(config.IM_REDIS_URL, {
    name: `extlogic-${config.IM_POD_NAME}`,
    onError: (error) => onFault("redis", error),
  });
  lifecycle.onStop("redis", () => redis.disconnect());
  const provider = createProvider(config, { clock, random, log });
  const ports = { redis, store, provider, clock, random, log, metrics: createPushMetrics(metrics) };
  const reconciler = new Reconciler({ ...ports, olderThanMs: config.IM_ACK_TIMEOUT_MS + RECONCILE_SLACK_MS });
  reconciler.start();
  lifecycle.onStop("reconciler", () => reconciler.stop());
  const consumer = new PushConsumer({
    ...ports,
    consumer: `${config.IM_POD_NAME}-${config.IM_POD_UID}`,
    ...(deps.claimIdleMs === undefined ? {} : { claimIdleMs: deps.claimIdleMs }),
  });
  consumer.start();
  lifecycle.onStop("consumer", () => consumer.stop());
  metrics.gaugeOf("im_push_stream_length", "Push intents not finished.", () => consumer.backlog.length);
  metrics.gaugeOf(
    "im_push_stream_oldest_seconds",
    "Age of the oldest push intent.",
    () => consumer.backlog.oldestMs / 1000,
  );
  health = new HealthPoll(() => store.ping(), clock);
  await health.start();
  lifecycle.onStop("health", () => health?.stop());
  log.info({ adminPort: admin.port, provider: provider.name }, "extlogic is up");
  return { adminPort: admin.port, lifecycle };
}

function createProvider(
  config: ExtlogicConfig,
  { clock, random, log }: { clock: Clock; random: () => number; log: Logger },
): PushProvider {
  const url = config.IM_PUSH_WEBHOOK_URL;
  if (url === undefined) return logProvider(log);
  return new WebhookProvider({ url, secret: config.IM_PUSH_WEBHOOK_SECRET ?? "", clock, random });
}

if (import.meta.main) {
  try {
    const { lifecycle } = await startExtlogic(loadConfig(extlogicSchema));
    lifecycle.installSignals(STOP_DEADLINE_MS);
  } catch (error) {
    createLogger("extlogic").error({ err: error }, "cannot start");
    process.exit(1);
  }
}
