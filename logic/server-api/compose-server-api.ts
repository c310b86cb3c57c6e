// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Lifecycle } from "#lib/lifecycle.ts";
import type { Logger } from "#lib/logger.ts";
import type { Metrics } from "#lib/metrics.ts";
import { type TlsFiles, watchTlsFiles } from "#lib/tls-files.ts";
import type { LogicCore } from "../compose.ts";
import { GroupChanger } from "../groups/group-changer.ts";
import type { HookSettings } from "../hooks/hook-settings.ts";
import type { MuteWatch } from "../mutes/mute-watch.ts";
import type { Router } from "../router/router.ts";
import type { Store } from "../store/store.ts";
import { KeyFile } from "../token/jwks.ts";
import { AdminPage } from "./admin-page.ts";
import { ApiDesk, type ApiMetrics } from "./api-desk.ts";
import { AppendAs } from "./append-as.ts";
import { AuditLog } from "./audit-log.ts";
import { BroadcastDesk } from "./broadcast-desk.ts";
import type { ServerApiConfig } from "./config.ts";
import type { DeadLetterDesk } from "./dead-letter-desk.ts";
import { FleetDesk } from "./fleet-desk.ts";
import { GovernanceDesk } from "./governance-desk.ts";
import { GroupDesk } from "./group-desk.ts";
import { type GrpcTwinListener, startGrpcTwin } from "./grpc-twin.ts";
import { HookDesk } from "./hook-desk.ts";
import { Housekeeping } from "./housekeeping.ts";
import { type FileKeys, parseKeyFile } from "./key-file.ts";
import { KeyRing } from "./key-ring.ts";
import { type ApiListener, startApiListener } from "./listener.ts";
import { MuteDesk } from "./mute-desk.ts";
import { openApiText } from "./openapi.ts";
import type { ApiPorts } from "./operation.ts";
import { OPERATIONS } from "./operations/index.ts";
import { RateLimits } from "./rate-limits.ts";
import { Repeatable } from "./repeatable.ts";
import { RouteTable } from "./route-table.ts";
import { UserDesk } from "./user-desk.ts";

const DAY_MS = 86_400_000;
const IDLE_WAIT_MS = 2000;
const IDLE_POLL_MS = 10;

/** What people know this process by. */
interface Named {
  IM_POD_NAME: string;
}

/** What the rest of logic lends. */
export interface ServerApiParts {
  core: Pick<LogicCore, "admin" | "entries" | "sending" | "cards" | "broadcasts">;
  store: Pick<
    Store,
    | "pushTargets"
    | "readHistory"
    | "readInbox"
    | "blocks"
    | "exports"
    | "pushStore"
    | "traces"
    | "conversations"
    | "policy"
    | "groups"
    | "serverApi"
    | "governance"
    | "hooks"
    | "mutes"
    | "broadcasts"
  >;
  router: Pick<Router, "lookup">;
  mutes: Pick<MuteWatch, "poll">;
  deadLetters: DeadLetterDesk;
  /** Webhooks, as the file of hooks has them now. */
  hooks: () => HookSettings;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  registry: Metrics;
  onFault: (op: string, error: unknown) => void;
  log: Logger;
}

/**
 * Opens the API for the shop's backends where it is configured; it stops with the process, before what it stands on.
 * Resolves with its port, or undefined when it is off.
 * @throws {ImError} BAD_REQUEST when its keys or certificates cannot be read
 */
export async function openServerApi(
  config: ServerApiConfig & Named,
  parts: ServerApiParts,
  lifecycle: Lifecycle,
): Promise<number | undefined> {
  if (config.IM_API_PORT === undefined) return undefined;
  const { clock, store, onFault } = parts;
  const fileKeys = await openKeyFile(config, parts, lifecycle);
  const desk = composeApiDesk(config, parts, fileKeys);
  const auditKeepMs = config.IM_API_AUDIT_DAYS * DAY_MS;
  const housekeeping = new Housekeeping({ store: store.serverApi, auditKeepMs, clock, random: parts.random, onFault });
  housekeeping.start();
  lifecycle.onStop("api housekeeping", () => housekeeping.stop());
  lifecycle.onStop("api calls", () => untilIdle(desk, clock));
  const listener = await openListener(config.IM_API_PORT, config, { desk, log: parts.log }, lifecycle);
  return listener.port;
}

/** The log is written when the answer to a read is out already. */
async function untilIdle(desk: ApiDesk, clock: Clock): Promise<void> {
  const endMs = clock.nowMs() + IDLE_WAIT_MS;
  while (!desk.isIdle && clock.nowMs() < endMs)
    await new Promise<void>((resolve) => void clock.after(IDLE_POLL_MS, resolve));
}

/** The API without its listener: runs on memory parts, too. */
export function composeApiDesk(
  config: Pick<ServerApiConfig, "IM_API_RATE_PER_SECOND"> & Named,
  parts: Omit<ServerApiParts, "log">,
  fileKeys: () => FileKeys,
): ApiDesk {
  const { core, store, router, deadLetters, hooks: settings, clock, random, registry, onFault } = parts;
  const { serverApi } = store;
  const metrics = createApiMetrics(registry);
  const api: ApiPorts = {
    append: new AppendAs(core.sending),
    cards: core.cards,
    users: new UserDesk({ admin: core.admin, router, store }),
    groups: new GroupDesk({
      store: store.groups,
      changer: new GroupChanger({ ...core.sending, store: store.groups, random }),
    }),
    mutes: new MuteDesk({ store: store.mutes, watch: parts.mutes }),
    governance: new GovernanceDesk({ store: store.governance, conversations: store.conversations, admin: core.admin }),
    broadcasts: new BroadcastDesk({ store: store.broadcasts, board: core.broadcasts.board }),
    tracer: core.sending.tracer,
    ...{ deadLetters, store, fleet: new FleetDesk({ name: config.IM_POD_NAME, entries: core.entries, clock }) },
    hooks: new HookDesk({ store: store.hooks, settings }),
    readAudit: (tenant, page) => serverApi.readAudit(tenant, page),
  };
  return new ApiDesk({
    routes: new RouteTable(OPERATIONS),
    keys: new KeyRing({ store: serverApi, fileKeys, clock }),
    rates: new RateLimits(config.IM_API_RATE_PER_SECOND, clock),
    repeatable: new Repeatable({ store: serverApi, onFault }),
    audit: new AuditLog({
      ...{ store: serverApi, defer: setImmediate, onFault },
      onLost: (entries) => metrics.auditLost.inc(entries),
    }),
    ...{ api, clock, onFault, metrics },
  });
}

/** Registers the figures of the API. */
export function createApiMetrics(registry: Metrics): ApiMetrics {
  return {
    calls: registry.counter("im_api_calls_total", "Calls of the server API.", ["operation", "status", "tenant"]),
    seconds: registry.histogram("im_api_call_duration_seconds", "One call of the server API.", ["operation"]),
    auditLost: registry.counter("im_api_audit_lost_total", "Entries of the audit log that were not written."),
  };
}

const NO_KEYS: FileKeys = new Map();

/** The keys of the deployment, followed while the process runs. */
async function openKeyFile(
  { IM_API_KEYS_FILE: path }: ServerApiConfig,
  { clock, onFault }: ServerApiParts,
  lifecycle: Lifecycle,
): Promise<() => FileKeys> {
  if (path === undefined) return () => NO_KEYS;
  const source = { path, variable: "IM_API_KEYS_FILE", parse: parseKeyFile };
  const file = await KeyFile.open(source, { clock, onError: (error) => onFault("api keys", error) });
  lifecycle.onStop("api keys", () => file.close());
  return () => file.current();
}

async function openListener(
  port: number,
  { IM_API_TLS_DIR: tlsDir, IM_API_GRPC_PORT: grpcPort }: ServerApiConfig,
  { desk, log }: { desk: ApiDesk; log: Logger },
  lifecycle: Lifecycle,
): Promise<ApiListener> {
  let listener: ApiListener | undefined;
  let twin: GrpcTwinListener | undefined;
  const onChange = (files: TlsFiles): void => {
    listener?.setTls(files);
    twin?.setTls(files);
    log.info({}, "new certificate of the server API in force");
  };
  const onError = (err: unknown): void =>
    log.error({ err }, "new certificate of the server API is not usable: the old one stays in force");
  const tls = tlsDir === undefined ? undefined : watchTlsFiles(tlsDir, onChange, { onError });
  if (tls) lifecycle.onStop("api tls", () => tls.close());
  const served = { document: openApiText(OPERATIONS), page: await AdminPage.load() };
  const opened = await startApiListener({ port, desk, ...served, tls: tls?.current() });
  listener = opened;
  lifecycle.onStop("api", () => opened.close());
  if (grpcPort !== undefined) {
    const started = await startGrpcTwin({ port: grpcPort, operations: OPERATIONS, desk, tls: tls?.current() });
    twin = started;
    lifecycle.onStop("api grpc", () => started.close());
    log.info({ port: started.port }, "the server API is served over gRPC, too");
  }
  return opened;
}
