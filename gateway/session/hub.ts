// SPDX-License-Identifier: Apache-2.0

import { BoundedQueue } from "#lib/bounded-queue.ts";
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { EntryMetrics } from "../metrics.ts";
import { EnvelopeReader } from "../wire/envelope.ts";
import { tagBytes } from "./binding.ts";
import { BroadcastFan } from "./broadcast-fan.ts";
import type { Carrier } from "./carrier.ts";
import { type ClientLimits, NO_LIMITS } from "./client-limits.ts";
import { Connection } from "./connection.ts";
import type { EntryTraces } from "./entry-traces.ts";
import { Handover } from "./handover.ts";
import { createHeartbeats, type HeartbeatAlgorithm } from "./heartbeat/algorithms.ts";
import type { Heartbeats } from "./heartbeat/heartbeats.ts";
import type { EntryStats } from "./stats.ts";
import type { LogicAudience, LogicDirectory, LogicPort } from "./uplink-port.ts";

/** Options of {@link Hub}. */
export interface HubOptions {
  clock: Clock;
  log: Logger;
  stats: EntryStats;
  metrics: EntryMetrics;
  logics: LogicDirectory & LogicAudience;
  loginTimeoutMs: number;
  /** Of sessions for which logic names none. */
  pingIntervalMs: number;
  /** How silent connections are found. Default wheel. */
  heartbeat?: HeartbeatAlgorithm;
  /** Default: none. */
  limits?: ClientLimits;
  /** Default: nothing is traced. */
  traces?: EntryTraces | undefined;
}

/** Users of connections that closed lately: lets UNREACHABLE name the user. */
const MAX_REMEMBERED = 16_384;
/** Sessions that closed while no logic was there to hear it. Beyond this, their routes wait for the lease to end. */
const MAX_UNANNOUNCED = 32_768;

interface UnannouncedClose {
  conn: number;
  tag: string;
}

/** All connections of this entry, and what they share. */
export class Hub {
  readonly clock: Clock;
  readonly log: Logger;
  readonly stats: EntryStats;
  readonly metrics: EntryMetrics;
  readonly logics: LogicDirectory & LogicAudience;
  readonly heartbeats: Heartbeats;
  readonly handover: Handover;
  readonly broadcasts: BroadcastFan;
  readonly loginTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly limits: ClientLimits;
  /** Undefined: nothing is traced. */
  readonly traces: EntryTraces | undefined;
  /** Shared: a frame is read and handled before the next one. */
  readonly envelope: EnvelopeReader = new EnvelopeReader();
  /** Called when a connection closes. */
  onClosed: (conn: number) => void = () => undefined;
  readonly #connections = new Map<number, Connection>();
  /** Closed, and reading their last frame. */
  readonly #lingering = new Set<Connection>();
  readonly #closedUsers = new Map<number, string>();
  readonly #unannounced = new BoundedQueue<UnannouncedClose>({ maxItems: MAX_UNANNOUNCED });
  #dirty: Connection[] = [];
  #isFlushScheduled = false;
  #lastConn = 0;
  #sessions = 0;

  constructor(options: HubOptions) {
    this.clock = options.clock;
    this.log = options.log;
    this.stats = options.stats;
    this.metrics = options.metrics;
    this.logics = options.logics;
    this.loginTimeoutMs = options.loginTimeoutMs;
    this.pingIntervalMs = options.pingIntervalMs;
    this.limits = options.limits ?? NO_LIMITS;
    this.traces = options.traces;
    this.heartbeats = createHeartbeats(options.heartbeat ?? "wheel", options.clock);
    this.handover = new Handover(options.logics, options.clock);
    this.broadcasts = new BroadcastFan(this);
  }

  /** Connections that are not closed, authenticated or not. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Authenticated connections. */
  get sessions(): number {
    return this.#sessions;
  }

  /** Takes over a socket that speaks frames. `acceptedTick` starts the time to log in. */
  open(carrier: Carrier, acceptedTick: number): Connection {
    this.#lastConn++;
    const connection = new Connection(this, this.#lastConn, carrier, acceptedTick);
    this.#connections.set(connection.conn, connection);
    this.stats.opened++;
    this.heartbeats.schedule(connection);
    return connection;
  }

  find(conn: number): Connection | undefined {
    return this.#connections.get(conn);
  }

  all(): MapIterator<Connection> {
    return this.#connections.values();
  }

  /** User of a connection that closed lately. */
  closedUser(conn: number): string {
    return this.#closedUsers.get(conn) ?? "";
  }

  sessionOpened(): void {
    this.#sessions++;
  }

  /** Called once by a connection when it closes. */
  closed(connection: Connection, userId: string | undefined): void {
    this.#connections.delete(connection.conn);
    this.#lingering.add(connection);
    this.onClosed(connection.conn);
    this.traces?.closed(connection.conn);
    if (userId === undefined) return;
    this.#sessions--;
    this.#closedUsers.set(connection.conn, userId);
    if (this.#closedUsers.size > MAX_REMEMBERED) {
      const oldest = this.#closedUsers.keys().next();
      if (!oldest.done) this.#closedUsers.delete(oldest.value);
    }
  }

  /** A session closed and no logic is attached: told to the next one that attaches. */
  rememberClosed(conn: number, tag: string): void {
    this.#unannounced.push({ conn, tag });
  }

  /** Tells `logic` about sessions that closed while there was none. */
  announceClosed(logic: LogicPort): void {
    for (let closed = this.#unannounced.shift(); closed; closed = this.#unannounced.shift()) {
      logic.sendControl({ kind: RecordKind.BIND, conn: closed.conn, body: tagBytes(closed.tag) });
      logic.sendControl({ kind: RecordKind.CLOSED, conn: closed.conn });
    }
  }

  /** The socket of a closed connection is gone. */
  gone(connection: Connection): void {
    this.#lingering.delete(connection);
  }

  /** Closed connections whose sockets are still there. */
  get lingering(): number {
    return this.#lingering.size;
  }

  /** Cuts what lingers. */
  destroyLingering(): void {
    for (const connection of this.#lingering) connection.destroy();
  }

  /** Flushes `connection` at the end of this turn of the event loop: one write for all its frames. */
  markDirty(connection: Connection): void {
    this.#dirty.push(connection);
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushScheduled = false;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
  };

  /** Closes every connection. */
  closeAll(code: number, reason: string): void {
    for (const connection of [...this.#connections.values()]) connection.close(code, reason);
  }
}
