// SPDX-License-Identifier: Apache-2.0
import type { JSONWebKeySet } from "jose";
import { startAdminServer } from "#lib/admin-server.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { loadConfig } from "#lib/config.ts";
import { createGrpcServer, type GrpcServer, uplinkService, watchInternalTls } from "#lib/grpc.ts";
import { Lifecycle } from "#lib/lifecycle.ts";
import { followLogLevel } from "#lib/log-level-file.ts";
import { createLogger, type Logger } from "#lib/logger.ts";
import { IDLE_SHARE, saveMemoryWhenCalm } from "#lib/memory-reducer.ts";
import { Metrics } from "#lib/metrics.ts";
import { connectRedis, type RedisClient, whenReady } from "#lib/redis.ts";
import { parseCardKeys } from "./changes/card-keys.ts";
import { composeLogic, type LogicCore, type LogicPorts } from "./compose.ts";
import type { ChangeSettings } from "./compose-changes.ts";
import { type LogicConfig, logicSchema } from "./config.ts";
import { RedisAckWheel } from "./deliver/ack-wheel-redis.ts";
import { createErasureSteps, ErasureJob } from "./erasure/erasure-job.ts";
import { createFaultLog } from "./faults.ts";
import { GroupChanger } from "./groups/group-changer.ts";
import { adminService } from "./grpc/admin.ts";
import { controlService } from "./grpc/control.ts";
import { inspectService } from "./grpc/inspect.ts";
import { HealthPoll } from "./health.ts";
import { openHookFeed } from "./hooks/hook-feed.ts";
import { createLogicMetrics, type LogicGauges, observeLogic } from "./metrics.ts";
import { MuteWatch, type MuteWatchPorts } from "./mutes/mute-watch.ts";
import { PolicyFile } from "./policy/policy-file.ts";
import { RedisChangeLog } from "./presence/change-log-redis.ts";
import { RedisIntents } from "./push/intent.ts";
import { TraceNotes } from "./push/trace-notes.ts";
import { openTokenSeal } from "./push-token-keys.ts";
import { RedisRouter } from "./router/redis.ts";
import { observeRouter, TimedRouter } from "./router/timed.ts";
import { policyFor, type SubjectRules } from "./send/subject.ts";
import { openServerApi, type ServerApiParts } from "./server-api/compose-server-api.ts";
import { RedisDeadLetters } from "./server-api/dead-letter-desk.ts";
import { openPostgresStore, type PostgresStore } from "./store/postgres-store.ts";
import { observeStatements } from "./store/store-metrics.ts";
import { KeyFile, type KeyFileOptions } from "./token/jwks.ts";
import { TokenVerifier } from "./token/verify.ts";
import { openProcessTracing } from "./tracing.ts";
import { AllowedNetworks } from "./webhook/public-address.ts";
import { WebhookSender } from "./webhook/webhook-sender.ts";

const STOP_DEADLINE_MS = 15_000;
/** Commands on their way when LEAVING was written still arrive within this. */
const LEAVING_GRACE_MS = 200;
const DRAIN_TIMEOUT_MS = 5000;
const DRAIN_POLL_MS = 10;
const GRPC_GRACE_MS = 1000;
const REDIS_WAIT_MS = 500;
const DAY_MS = 86_400_000;

/** What a test may replace. */
export interface LogicDeps {
  log?: Logger;
  clock?: Clock;
  random?: () => number;
}

/** A running logic process. */
export interface Logic {
  grpcPort: number;
  adminPort: number;
  /** Of the API for the shop's backends; undefined: it is off. */
  apiPort: number | undefined;
  lifecycle: Lifecycle;
  core: LogicCore;
}

/**
 * Starts logic: needs PostgreSQL (waits 30 s for it) and the JWKS file, not Redis.
 * @throws {ImError} when one of them is missing, with the remedy
 */
export async function startLogic(config: LogicConfig, deps: LogicDeps = {}): Promise<Logic> {
  const own = createLogger("logic", config.IM_LOG_LEVEL);
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

async function start(config: LogicConfig, deps: LogicDeps & { log: Logger }, lifecycle: Lifecycle): Promise<Logic> {
  const { log } = deps;
  const clock = deps.clock ?? systemClock;
  const onFault = createFaultLog(log, clock);
  const registry = new Metrics({ component: "logic", version: config.IM_VERSION }, { runtime: true });
  let running: LogicState | undefined;
  // First up and last down: probes and metrics work while the rest starts and drains.
  const admin = await startAdminServer({
    port: config.IM_ADMIN_PORT,
    metrics: registry,
    isReady: () => running?.health.isHealthy === true && !lifecycle.isStopping,
    debug: () => describe(running),
  });
  lifecycle.onStop("admin", () => admin.close());
  const keys = await openKeys(config, { clock, onError: (error) => onFault("token keys", error) });
  lifecycle.onStop("token keys", () => keys.close());
  const random = deps.random ?? Math.random;
  const tracing = await openProcessTracing("logic", config, { clock, random, log, registry }, lifecycle);
  const store = await openStore(config, registry);
  lifecycle.onStop("store", () => store.close());
  const redis = connectRedis(config.IM_REDIS_URL, {
    name: `logic-${config.IM_POD_NAME}`,
    onError: (error) => onFault("redis", error),
  });
  lifecycle.onStop("redis", () => redis.disconnect());
  const queue = openQueue(config, redis, onFault, lifecycle);
  const changes = await openChanges(config, { clock, random, onFault }, lifecycle);
  const hooks = await openHookFeed(config, { store, clock, random, registry, onFault }, lifecycle);
  const mutes = await openMutes({ store: store.mutes, clock, onFault }, lifecycle);
  const policy = await openPolicy(config, clock, log, lifecycle);
  const untimed = new RedisRouter(redis, { clock, leaseTtlMs: config.IM_LEASE_TTL_MS });
  const router = new TimedRouter(untimed, clock, observeRouter(registry));
  const intents = new RedisIntents(queue);
  const core = composeLogic({
    store,
    router,
    ...{ intents, traceNotes: tracing && new TraceNotes({ redis: queue, defer: setImmediate, onFault }) },
    wheel: new RedisAckWheel(queue),
    ...(config.IM_PRESENCE_VISIBLE_TO === "peers" ? { changeLog: new RedisChangeLog(redis) } : {}),
    tokens: tokenVerifier(config, keys, clock),
    changes: { ...changes, mutedMs: (userId) => mutes.leftMs(userId) },
    // Whoever may not write costs nobody a question.
    guards: { before: [mutes, hooks.guard], after: [] },
    hooks: hooks.settings,
    maxGroupMembers: config.IM_MAX_GROUP_MEMBERS,
    ...subjectRules(config),
    ...{ name: config.IM_POD_NAME, leaseTtlMs: config.IM_LEASE_TTL_MS },
    ...(policy ? { policy: () => policy.engine } : {}),
    pingIntervalMs: config.IM_PING_INTERVAL_MS,
    backgroundPingIntervalMs: config.IM_BACKGROUND_PING_INTERVAL_MS ?? config.IM_PING_INTERVAL_MS,
    gap: { maxEvents: config.IM_SYNC_MAX_GAP_EVENTS, maxAgeMs: config.IM_SYNC_MAX_GAP_DAYS * DAY_MS },
    ackTimeoutMs: config.IM_ACK_TIMEOUT_MS,
    sessionPolicy: { sessionsPerSlot: config.IM_SESSIONS_PER_SLOT, loginsPerMinute: config.IM_LOGINS_PER_MINUTE },
    ...{ clock, random, defer: setImmediate, onFault, log },
    metrics: createLogicMetrics(registry),
    tracer: tracing?.tracer,
  });
  lifecycle.onStop("core", () => core.close());
  observeLogic(registry, logicGauges(core, store, policy));
  // A first look that comes before the connection would only report it as away.
  await whenReady(redis, REDIS_WAIT_MS);
  await core.start();
  const health = new HealthPoll(() => core.ping(), clock);
  await health.start();
  lifecycle.onStop("health", () => health.stop());
  const server = openServer(config, log, lifecycle);
  server.addService(
    uplinkService((uplink) => core.server.accept(uplink)),
    ["entry"],
  );
  server.addService(controlService(core.control), ["operator"]);
  server.addService(adminService(core.admin), ["operator", "admin", "logic"]);
  server.addService(inspectService({ store, router, memory: core.admin.memory, clock }), [
    "operator",
    "admin",
    "logic",
  ]);
  const grpcPort = await bindAny(server, config.IM_GRPC_PORT);
  lifecycle.onStop("grpc", () => server.close(GRPC_GRACE_MS));
  lifecycle.onStop("streams", () => drain(core));
  const lent = { core, store, router, mutes, hooks: hooks.settings, clock, random, registry, onFault, log };
  const apiParts = { ...lent, deadLetters: new RedisDeadLetters({ redis: queue, intents }) };
  const apiPort = await openServerApi(config, apiParts, lifecycle);
  openErasures(apiParts, lifecycle);
  running = { core, health, redis };
  log.info({ grpcPort, adminPort: admin.port, apiPort }, "logic is up");
  return { grpcPort, adminPort: admin.port, apiPort, lifecycle, core };
}

async function openStore(config: LogicConfig, registry: Metrics): Promise<PostgresStore> {
  const tokenSeal = await openTokenSeal(config.IM_PUSH_TOKEN_KEYS_FILE);
  const observe = observeStatements(registry);
  return openPostgresStore({ url: config.IM_POSTGRES_URL, name: "logic", tokenSeal, observe });
}

function subjectRules(config: LogicConfig): SubjectRules {
  const { IM_CONVERSATIONS, IM_CONVERSATIONS_TENANTS, IM_MAX_ITEM_CONVERSATIONS: maxItemConversations } = config;
  return { policyOf: policyFor(IM_CONVERSATIONS, IM_CONVERSATIONS_TENANTS), maxItemConversations };
}

/** Deletes users whose deletion was asked for, whichever logic was asked. */
function openErasures({ core, store, clock, random, registry, onFault }: ServerApiParts, lifecycle: Lifecycle): void {
  const changer = new GroupChanger({ ...core.sending, store: store.groups, random });
  const erasures = new ErasureJob({
    ...{ store: store.governance, groups: store.groups, changer, clock, random, onFault },
    steps: createErasureSteps(registry),
  });
  erasures.start();
  lifecycle.onStop("erasures", () => erasures.stop());
}

/** What is counted when somebody looks. */
function logicGauges(core: LogicCore, store: PostgresStore, policy: PolicyFile | undefined): LogicGauges {
  const { watcher } = core.presence;
  return {
    entries: () => core.entries.size,
    sessions: () => core.entries.sessions,
    parkedDelivers: () => core.parked(),
    ackPending: () => core.ackWatch.pending,
    ackWheelLagMs: () => core.ackWatch.lagMs,
    pools: () => store.pools,
    watchingSessions: watcher && (() => watcher.sessions),
    watchedUsers: watcher && (() => watcher.peers),
    policy,
  };
}

/** The Redis of the push intents: the router's, unless it has its own. */
function openQueue(
  config: LogicConfig,
  redis: RedisClient,
  onFault: (op: string, error: unknown) => void,
  lifecycle: Lifecycle,
): RedisClient {
  const url = config.IM_QUEUE_REDIS_URL;
  if (url === undefined || url === config.IM_REDIS_URL) return redis;
  const queue = connectRedis(url, {
    name: `logic-queue-${config.IM_POD_NAME}`,
    onError: (error) => onFault("queue redis", error),
  });
  lifecycle.onStop("queue redis", () => queue.disconnect());
  return queue;
}

function tokenVerifier(config: LogicConfig, keys: KeyFile<JSONWebKeySet | Uint8Array>, clock: Clock): TokenVerifier {
  return new TokenVerifier({
    keys,
    issuer: config.IM_TOKEN_ISSUER,
    audience: config.IM_TOKEN_AUDIENCE ?? config.IM_CLUSTER,
    ...(config.IM_TOKEN_ALGORITHMS ? { algorithms: config.IM_TOKEN_ALGORITHMS } : {}),
    nowMs: () => clock.wallMs(),
  });
}

/** The shared secret when one is given, else the JWKS: never both. */
function openKeys(config: LogicConfig, options: KeyFileOptions): Promise<KeyFile<JSONWebKeySet | Uint8Array>> {
  const { IM_TOKEN_SECRET_FILE: secretFile, IM_JWKS_FILE: jwksFile } = config;
  return secretFile === undefined ? KeyFile.openJwks(jwksFile, options) : KeyFile.openSecret(secretFile, options);
}

/** Knows who may not write, from before the first message on. */
async function openMutes(ports: MuteWatchPorts, lifecycle: Lifecycle): Promise<MuteWatch> {
  const mutes = new MuteWatch(ports);
  lifecycle.onStop("mutes", () => mutes.stop());
  await mutes.start();
  return mutes;
}

/** The rules that messages are held against; undefined: there are none. */
async function openPolicy(
  { IM_POLICY_FILE: path }: LogicConfig,
  clock: Clock,
  log: Logger,
  lifecycle: Lifecycle,
): Promise<PolicyFile | undefined> {
  if (path === undefined) return undefined;
  const file = await PolicyFile.open({ path, clock, log });
  lifecycle.onStop("policy", () => file.close());
  return file;
}

/** Policy of changes, the keys of cards, and who is told of pressed buttons. */
async function openChanges(
  config: LogicConfig,
  { clock, random, onFault }: Pick<LogicPorts, "clock" | "random" | "onFault">,
  lifecycle: Lifecycle,
): Promise<ChangeSettings> {
  const { IM_CARD_KEYS_FILE: keysFile, IM_CARD_ACTION_URL: url, IM_CARD_ACTION_SECRET: secret } = config;
  const policy = { recallWindowMs: config.IM_RECALL_WINDOW_MS, editWindowMs: config.IM_EDIT_WINDOW_MS };
  const settings: ChangeSettings = { policy };
  if (keysFile !== undefined) {
    const onError = (error: unknown): void => onFault("card keys", error);
    const source = { path: keysFile, variable: "IM_CARD_KEYS_FILE", parse: parseCardKeys };
    const keys = await KeyFile.open(source, { clock, onError });
    lifecycle.onStop("card keys", () => keys.close());
    settings.cardKeys = () => keys.current();
  }
  if (url !== undefined) {
    const allowed = new AllowedNetworks(config.IM_WEBHOOK_ALLOWED_NETWORKS ?? []);
    const webhooks = new WebhookSender({ allowed, clock, random });
    lifecycle.onStop("webhooks", () => webhooks.close());
    settings.cardActions = { target: { url, secret }, webhooks };
  }
  return settings;
}

interface LogicState {
  core: LogicCore;
  health: HealthPoll;
  redis: RedisClient;
}

/** For /debug. */
function describe(running: LogicState | undefined): object {
  if (!running) return { state: "starting" };
  const entries = [...running.core.entries].map(({ name, peer, incarnation, sessions, outboundBytes }) => ({
    name,
    peer,
    incarnation,
    sessions: sessions.size,
    outboundBytes,
  }));
  return { state: "running", redis: running.redis.status, entries };
}

/** LEAVING, then the answers of everything that was taken, then the end of the streams. */
async function drain(core: LogicCore): Promise<void> {
  core.leave();
  const startedMs = performance.now();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    const waitedMs = performance.now() - startedMs;
    if (waitedMs > DRAIN_TIMEOUT_MS || (waitedMs > LEAVING_GRACE_MS && core.isIdle())) break;
  }
  await Promise.all([core.acks.flush(), core.ackWatch.flush(), core.activity.flush(), core.broadcasts.flush()]);
  core.entries.close();
}

/** The gRPC server; it follows its certificate's files until the process stops. */
function openServer(config: LogicConfig, log: Logger, lifecycle: Lifecycle): GrpcServer {
  const internalTls = watchInternalTls(
    config.IM_INTERNAL_TLS_DIR,
    (tls) => {
      log.info({}, "new internal certificate in force");
      server.setTls(tls);
    },
    (err) => log.error({ err }, "new internal certificate is not usable: the old one stays in force"),
  );
  lifecycle.onStop("internal tls", () => internalTls.close());
  const server = createGrpcServer({ tls: internalTls.current() });
  return server;
}

/** All interfaces; a machine without IPv6 gets IPv4 only. */
async function bindAny(server: GrpcServer, port: number): Promise<number> {
  try {
    return await server.bind("::", port);
  } catch {
    // The second attempt reports a port in use by itself.
    return server.bind("0.0.0.0", port);
  }
}

if (import.meta.main) {
  try {
    const { lifecycle } = await startLogic(loadConfig(logicSchema));
    lifecycle.onStop("memory reducer", saveMemoryWhenCalm(systemClock, { calmShare: IDLE_SHARE }));
    lifecycle.installSignals(STOP_DEADLINE_MS);
  } catch (error) {
    createLogger("logic").error({ err: error }, "cannot start");
    process.exit(1);
  }
}
