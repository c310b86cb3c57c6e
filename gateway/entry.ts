// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { type AdminServer, startAdminServer } from "#lib/admin-server.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { createGrpcServer, type GrpcServer, type InternalTlsWatch, openUplink, watchInternalTls } from "#lib/grpc.ts";
import { hostPort } from "#lib/host-port.ts";
import { listen } from "#lib/listen.ts";
import { createLogger, type Logger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { observeTracing, type Tracing } from "#lib/tracing/open-tracing.ts";
import type { DrainedSessionsReply, StatusReply } from "#proto/gen/messages.ts";
import type { EntryConfig } from "./config.ts";
import { type ControlTarget, controlService } from "./control.ts";
import { DemoFiles } from "./demo.ts";
import { Drain, type DrainOrder, type ReconnectGrant } from "./drain.ts";
import { createGate, type Gate } from "./gate.ts";
import { LeaveMark } from "./leave-mark.ts";
import { ClientDoor } from "./listen/door.ts";
import { createRedirectServer } from "./listen/http.ts";
import { type ClientListener, createPlainListener, createTlsListener, type OnSocket } from "./listen/tls.ts";
import { EntryMetrics } from "./metrics.ts";
import { EntryTraces } from "./session/entry-traces.ts";
import { Hub } from "./session/hub.ts";
import { EntryStats } from "./session/stats.ts";
import { Shed } from "./shed.ts";
import { StatusReporter } from "./status-reporter.ts";
import { SessionAnnouncer } from "./uplink/announcer.ts";
import { Downlink } from "./uplink/downlink.ts";
import { UplinkPool } from "./uplink/pool.ts";
import { type Resolve, resolveHost } from "./uplink/targets.ts";

/** What a test may replace. */
export interface EntryDeps {
  clock?: Clock;
  log?: Logger;
  resolve?: Resolve;
  /** Interface of every listener; all by default. */
  host?: string;
  /** This incarnation was fenced without a drain, and every client told: end the process. Default: exit code 1. */
  onFenced?: (reason: string) => void;
  /** Default: nothing is traced. */
  tracing?: Tracing | undefined;
}

/** Ports in use; undefined = no such listener. */
export interface EntryPorts {
  tls: number | undefined;
  plain: number | undefined;
  http: number;
  control: number;
  admin: number;
}

export interface RunningEntry extends ControlTarget {
  readonly ports: EntryPorts;
  readonly isReady: boolean;
  /** Asks clients to move and closes what is left at the deadline; resolves when no connection is left. */
  drainAll(order: DrainOrder): Promise<void>;
  /** Closes every connection (4000) and listener. */
  close(): Promise<void>;
}

/** Sockets above the connections allowed: handshakes, HTTP, and those that are told to go elsewhere. */
const SPARE_SOCKETS = 1000;
const FENCE_GRACE_MS = 500;
const CONTROL_GRACE_MS = 500;
const POLL_MS = 20;
const LOOP_RESOLUTION_MS = 20;
/** Each long poll that another entry passes on is an open call. */
const MAX_RELAYED_CALLS = 100_000;
/** Closed connections get this long to read why. */
const LINGER_MS = 1000;

/** Starts an entry: listeners first, then the uplink. Resolves when all ports are bound. */
export async function startEntry(config: EntryConfig, deps: EntryDeps = {}): Promise<RunningEntry> {
  const entry = new Entry(config, deps);
  try {
    await entry.start();
    return entry;
  } catch (error) {
    await entry.close();
    throw error;
  }
}

class Entry implements RunningEntry {
  readonly ports: EntryPorts = { tls: undefined, plain: undefined, http: 0, control: 0, admin: 0 };
  readonly #config: EntryConfig;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #host: string;
  readonly #hub: Hub;
  readonly #pool: UplinkPool;
  readonly #announcer: SessionAnnouncer;
  readonly #drain: Drain;
  readonly #shed: Shed;
  readonly #reporter: StatusReporter;
  readonly #mark: LeaveMark;
  readonly #stats = new EntryStats();
  readonly #door: ClientDoor;
  readonly #gate: Gate;
  readonly #metrics: Metrics;
  readonly #entryMetrics: EntryMetrics;
  readonly #control: GrpcServer;
  readonly #internalTls: InternalTlsWatch;
  readonly #listeners: ClientListener[] = [];
  readonly #loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  readonly #onFencedExit: (reason: string) => void;
  #admin: AdminServer | undefined;
  #isCordoned = false;
  #isFenced = false;
  #isClosed = false;
  #cancelExit: () => void = () => undefined;

  constructor(config: EntryConfig, deps: EntryDeps) {
    this.#config = config;
    this.#clock = deps.clock ?? systemClock;
    this.#log = deps.log ?? createLogger("entry", config.logLevel);
    this.#host = deps.host ?? "::";
    this.#onFencedExit = deps.onFenced ?? (() => process.exit(1));
    const clock = this.#clock;
    const log = this.#log;
    const stats = this.#stats;
    this.#metrics = new Metrics({ component: "entry", version: config.version }, { runtime: true });
    const metrics = new EntryMetrics(this.#metrics, stats);
    this.#entryMetrics = metrics;
    observeTracing(this.#metrics, deps.tracing);
    this.#internalTls = watchInternalTls(
      config.internalTlsDir,
      (tls) => {
        log.info({}, "new internal certificate in force");
        this.#control.setTls(tls);
        this.#door.carriers.onTls(tls);
        for (const listener of this.#listeners) listener.refreshTickets?.();
      },
      (err) => log.error({ err }, "new internal certificate is not usable: the old one stays in force"),
    );
    this.#pool = new UplinkPool({
      targets: config.logicTargets,
      identity: { podUid: config.podUid, podName: config.podName, version: config.version },
      open: (address, callbacks) => openUplink({ address, tls: this.#internalTls.current(), ...callbacks }),
      resolve: deps.resolve ?? resolveHost,
      clock,
      log,
      stats,
      metrics,
      owner: {
        onRecord: (link, record) => downlink.onRecord(link, record),
        onAttached: (link) => {
          downlink.onAttached(link);
          this.#reporter.start();
        },
        onLost: (link) => downlink.onLost(link),
        onFenced: (reason) => this.#onFenced(reason),
      },
    });
    const { loginTimeoutMs, pingIntervalMs, heartbeat } = config;
    this.#gate = createGate(config.limits, clock, metrics);
    this.#hub = new Hub({
      ...{ clock, log, stats, metrics, logics: this.#pool },
      ...{ loginTimeoutMs, pingIntervalMs, heartbeat, limits: this.#gate.limits },
      traces: deps.tracing && new EntryTraces({ tracer: deps.tracing.tracer, clock, afterWrites: setImmediate }),
    });
    this.#drain = new Drain(this.#hub, clock, log);
    this.#shed = new Shed(this.#hub, clock);
    this.#mark = new LeaveMark({ dir: config.podinfoDir, clock, log });
    this.#announcer = new SessionAnnouncer({
      connections: () => this.#hub.all(),
      sessions: () => this.#hub.sessions,
      logics: this.#pool,
      clock,
      random: Math.random,
    });
    this.#reporter = new StatusReporter({ report: () => this.#report(), logics: this.#pool, clock });
    const downlink = new Downlink(this.#hub, log, this.#announcer, (connection) => this.#drain.onLogin(connection));
    this.#door = new ClientDoor({
      hub: this.#hub,
      maxConnections: config.maxConnections,
      isDraining: () => this.#drain.isActive || this.#isFenced || this.#isClosed,
      isReady: () => this.isReady,
      http: {
        ...{ clock, log, origins: new Set(config.httpOrigins), endpoints: config.endpoints },
        tls: () => this.#internalTls.current(),
        address: () => hostPort(config.podIp, this.ports.control),
      },
      demo: config.demoDir ? new DemoFiles(config.demoDir) : undefined,
    });
    this.#control = createGrpcServer({
      tls: this.#internalTls.current(),
      clientRoles: ["operator"],
      maxCalls: MAX_RELAYED_CALLS,
    });
    this.#control.addService(controlService(this));
    this.#control.addService(this.#door.carriers.service, ["entry"]);
    this.#observe(metrics);
  }

  #observe(metrics: EntryMetrics): void {
    metrics.observe(this.#metrics, {
      connections: () => this.#hub.connections,
      maxConnections: () => this.#config.maxConnections,
      sessions: () => this.#hub.sessions,
      uplinks: () => this.#pool.attached,
      uplinkQueueBytes: () => this.#pool.queueBytes,
      isReady: () => this.isReady,
      isDraining: () => this.#drain.isActive,
    });
  }

  get isReady(): boolean {
    return this.#pool.attached > 0 && !this.#isCordoned && !this.#drain.isActive && !this.#isFenced && !this.#isClosed;
  }

  async start(): Promise<void> {
    const { tlsPort, plainPort, httpPort, controlPort, adminPort, maxConnections } = this.#config;
    this.#loopDelay.enable();
    this.#heedMark();
    this.#hub.heartbeats.start();
    this.#gate.guard.start();
    const { front } = this.#gate;
    const maxSockets = maxConnections + SPARE_SOCKETS;
    const log = this.#log;
    const onSocket = (socket: Socket, isFrames: boolean) => this.#door.onSocket(socket, isFrames);
    const tls = this.#createTlsListener(maxSockets, onSocket);
    if (tls) this.ports.tls = await this.#listen(tls, tlsPort);
    if (plainPort !== undefined) {
      this.ports.plain = await this.#listen(createPlainListener(front, maxSockets, onSocket), plainPort);
    }
    const redirect = createRedirectServer(() => this.ports.tls ?? 443);
    this.ports.http = await this.#listen({ server: redirect, close: () => redirect.closeAllConnections() }, httpPort);
    this.ports.control = await this.#control.bind(this.#host, controlPort);
    this.#admin = await startAdminServer({
      port: adminPort,
      host: this.#host,
      metrics: this.#metrics,
      isReady: () => this.isReady,
      debug: () => ({ status: this.status(), uplinks: this.#pool.describe() }),
    });
    this.ports.admin = this.#admin.port;
    this.#pool.start();
    this.#announcer.start();
    log.info({ ports: this.ports, targets: this.#config.logicTargets }, "entry is listening");
  }

  /** Its container has started again on a pod that is on its way out: the operator goes on with the drain, or takes the mark away. */
  #heedMark(): void {
    if (!this.#mark.isSet) return;
    this.#log.warn({}, "the pod is to leave: it takes no new connections");
    this.#isCordoned = true;
    this.#mark.whenGone(() => {
      this.#log.info({}, "the pod stays: it takes connections");
      this.#isCordoned = false;
    });
  }

  #createTlsListener(maxSockets: number, onSocket: OnSocket): ClientListener | undefined {
    const { tlsDir, tlsReloadMs, tlsMinVersion } = this.#config;
    if (tlsDir === undefined) return undefined;
    // Without a certificate that the entries share, each resumes only what it sealed itself.
    const own = randomBytes(32);
    return createTlsListener({
      ...{ dir: tlsDir, reloadMs: tlsReloadMs, minVersion: tlsMinVersion, maxSockets, onSocket },
      front: this.#gate.front,
      ticketSecret: () => this.#internalTls.current()?.key ?? own,
      ...{ clock: this.#clock, log: this.#log, metrics: this.#entryMetrics },
    });
  }

  async #listen(listener: ClientListener, port: number): Promise<number> {
    this.#listeners.push(listener);
    const bound = await listen(listener.server, port, this.#host);
    listener.server.on("error", (err) => this.#log.error({ err }, "listener"));
    return bound;
  }

  /**
   * One that is on its way out serves nobody any more until it is told to stop; after a drain it still tells whom it had asked. Any
   * other was taken for dead by mistake: its next start is another incarnation, and serves.
   */
  #onFenced(reason: string): void {
    if (this.#isFenced) return;
    this.#isFenced = true;
    const { connections } = this.#hub;
    if (this.#drain.isActive) {
      this.#log.info({ reason, connections }, "drained and purged: waiting to be stopped");
      this.#drain.closeNow();
      return;
    }
    this.#log.error({ reason, connections }, "fenced: closing every connection and leaving");
    this.#hub.closeAll(DisconnectCode.ENTRY_FENCED, "this entry was declared dead: connect again");
    if (this.#mark.isSet) return;
    this.#cancelExit = this.#clock.after(FENCE_GRACE_MS, () => this.#onFencedExit(reason));
  }

  status(): StatusReply {
    const eventLoopLagMs = Math.max(0, this.#loopDelay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS);
    // The lag since somebody last asked.
    this.#loopDelay.reset();
    return { ...this.#report(), eventLoopLagMs, loginP99Ms: this.#stats.logins.takeP99() };
  }

  /** What may be looked at by anybody as often as it likes: without the figures that count from one question to the next. */
  #report(): StatusReply {
    const drain = this.#drain.figures;
    const { answered, failed } = this.#stats.logins;
    return {
      incarnation: this.#pool.incarnation,
      connections: this.#hub.connections,
      sessions: this.#hub.sessions,
      cordoned: this.#isCordoned,
      draining: this.#drain.isActive,
      ready: this.isReady,
      uplinks: this.#pool.attached,
      version: this.#config.version,
      ...{ eventLoopLagMs: 0, logins: answered, loginsFailed: failed, loginP99Ms: 0 },
      ...{
        drainInitial: drain.initial,
        drainAsked: drain.asked,
        drainForced: drain.forced,
        drainWaiting: drain.waiting,
      },
      answerP99Ms: this.#stats.answers.p99,
      arrivals: this.#door.arrivals,
    };
  }

  setCordoned(isCordoned: boolean): void {
    this.#mark.stop();
    this.#isCordoned = isCordoned;
  }

  drain(order: DrainOrder): void {
    this.#mark.stop();
    this.#isCordoned = true;
    this.#shed.stop();
    this.#drain.start(order);
  }

  shed(grant: ReconnectGrant, endpoints: readonly string[]): void {
    if (!this.#drain.isActive) this.#shed.ask(grant, endpoints);
  }

  drained(cursor: number): DrainedSessionsReply {
    return this.#drain.drained(cursor);
  }

  async drainAll(order: DrainOrder): Promise<void> {
    this.drain(order);
    while (this.#hub.connections > 0) await this.#sleep(POLL_MS);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelExit();
    this.#mark.stop();
    this.#drain.stop();
    this.#announcer.stop();
    this.#reporter.stop();
    for (const { server, close } of this.#listeners) {
      close();
      server.close();
    }
    this.#hub.closeAll(DisconnectCode.SHUTDOWN, "the entry stops: connect again");
    await this.#control.close(CONTROL_GRACE_MS);
    for (let leftMs = LINGER_MS; leftMs > 0 && this.#hub.lingering > 0; leftMs -= POLL_MS) await this.#sleep(POLL_MS);
    // Not before: the polls that hear why are among them.
    this.#door.destroyPending();
    this.#hub.destroyLingering();
    this.#pool.close();
    this.#door.carriers.close();
    this.#internalTls.close();
    this.#gate.guard.stop();
    this.#hub.heartbeats.stop();
    this.#hub.handover.close();
    this.#loopDelay.disable();
    await this.#admin?.close();
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((done) => this.#clock.after(ms, done));
  }
}
