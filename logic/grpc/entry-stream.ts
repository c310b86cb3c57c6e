// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { ServerUplink } from "#lib/grpc.ts";
import type { TraceContext } from "#lib/tracing/trace-context.ts";
import { Flag } from "#proto/commands.ts";
import { StatusReply } from "#proto/gen/messages.ts";
import { HEADER_BYTES, RecordBatch, type RecordInput, RecordKind, type UplinkRecord } from "#proto/uplink/record.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { EntryPort, Session } from "../session/session.ts";
import type { Defer } from "../tick-batch.ts";
import { DelayMeter } from "./delay-meter.ts";

/** Beyond this, pushes are refused: their recipients pull later. */
const MAX_OUTBOUND_BYTES = 8 * 1024 * 1024;
/** Beyond this, what is told for the moment only is refused. */
const MAX_EPHEMERAL_BYTES = 1024 * 1024;
/** Beyond this the entry does not read any more: the stream ends, it attaches again and clients resend. */
const MAX_STUCK_BYTES = 2 * MAX_OUTBOUND_BYTES;
const MAX_WRITE_BYTES = 1024 * 1024;
/** More connections than an entry may have. */
const MAX_ROUND_TRIPS = 500_000;
/** Some numbers and two names. */
const MAX_REPORT_BYTES = 2048;

/** What an entry said of the COMMAND that follows. */
export interface AnnouncedTrace {
  readonly conn: number;
  readonly rid: number;
  /** Inbox seq that an acknowledgement may cover; else 0. */
  readonly inboxSeq: number;
  readonly context: TraceContext;
}

/** More than an entry says in front of one COMMAND. */
const MAX_ANNOUNCED = 16;
const NOT_TRACED: readonly AnnouncedTrace[] = [];

/** A login that has not been answered; `isGone` when its connection closed meanwhile. */
export interface PendingLogin {
  isGone: boolean;
  /** When it came here. */
  readonly sinceMs: number;
}

/** How an entry said that it is, and when: by the monotonic clock and by the wall clock. */
export interface EntryReport {
  readonly status: StatusReply;
  readonly atMs: number;
  readonly wallMs: number;
}

/** What {@link EntryStream} needs. */
export interface EntryStreamPorts {
  uplink: ServerUplink;
  defer: Defer;
  metrics: LogicMetrics;
}

/**
 * One attached entry: its sessions, and records on their way to it, written once per tick. Memory is bounded by
 * 1 MiB of frames that may be lost, 8 MiB of pushes, and 16 MiB in all.
 */
export class EntryStream implements EntryPort {
  readonly sessions = new Map<number, Session>();
  readonly logins = new Map<number, PendingLogin>();
  /** "" until attached. */
  incarnation = "";
  /** Pod name, for people. */
  name = "";
  /** Of the entry, for people. */
  version = "";
  /** How the entry was when it last said so, for people; undefined: it has not, or is of a version that does not. */
  report: EntryReport | undefined;
  /** Tells how long the entry's requests for a lease were on their way. */
  readonly delays = new DelayMeter();
  readonly #ports: EntryStreamPorts;
  readonly #batch = new RecordBatch();
  readonly #roundTrips = new Map<number, number>();
  #announced: readonly AnnouncedTrace[] = NOT_TRACED;
  #isScheduled = false;
  #isBlocked = false;
  #isClosed = false;

  constructor(ports: EntryStreamPorts) {
    this.#ports = ports;
    ports.uplink.onDrain(() => {
      this.#isBlocked = false;
      this.#flush();
    });
  }

  get peer(): string {
    return this.#ports.uplink.peer;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get outboundBytes(): number {
    return this.#batch.byteLength;
  }

  send(record: RecordInput): boolean {
    if (this.#isClosed) return false;
    const waiting = this.#batch.byteLength + HEADER_BYTES + (record.body?.length ?? 0);
    if (waiting > MAX_OUTBOUND_BYTES && record.kind === RecordKind.DELIVER) return false;
    if (waiting > MAX_EPHEMERAL_BYTES && ((record.flags ?? 0) & Flag.NO_PERSIST) !== 0) return false;
    if (waiting > MAX_STUCK_BYTES) {
      this.close("stuck");
      return false;
    }
    this.#batch.add(record);
    if (this.#batch.byteLength >= MAX_WRITE_BYTES) this.#flush();
    else if (!this.#isScheduled && !this.#isBlocked) this.#schedule();
    return true;
  }

  roundTripMs(conn: number): number {
    return this.#roundTrips.get(conn) ?? 0;
  }

  /** ROUND_TRIP: a hint of the entry; 0 forgets it. */
  noteRoundTrip(conn: number, ms: number): void {
    if (ms === 0) this.#roundTrips.delete(conn);
    else if (this.#roundTrips.size < MAX_ROUND_TRIPS || this.#roundTrips.has(conn)) this.#roundTrips.set(conn, ms);
  }

  /** REPORT: for people only, so that one that cannot be read costs nobody the stream. */
  noteReport(body: Uint8Array, clock: Pick<Clock, "nowMs" | "wallMs">): void {
    if (body.length > MAX_REPORT_BYTES) return;
    try {
      this.report = { status: StatusReply.decode(body), atMs: clock.nowMs(), wallMs: clock.wallMs() };
    } catch {
      this.report = undefined;
    }
  }

  /** A record TRACE: the next COMMAND is traced. */
  announceTrace(trace: AnnouncedTrace): void {
    if (this.#announced.length < MAX_ANNOUNCED) this.#announced = [...this.#announced, trace];
  }

  /** What was said of the COMMAND that is here now, once. */
  takeTraces({ conn, rid }: Pick<UplinkRecord, "conn" | "rid">): readonly AnnouncedTrace[] {
    const announced = this.#announced;
    if (announced.length === 0) return announced;
    this.#announced = NOT_TRACED;
    return announced.filter((trace) => trace.conn === conn && trace.rid === rid);
  }

  /** Writes what waits, then ends the stream. */
  close(reason: string): void {
    if (this.#isClosed) return;
    this.#flush();
    this.markClosed(reason);
    this.#ports.uplink.close();
  }

  /** The stream ended: nothing can be sent any more. */
  markClosed(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ports.metrics.streamsClosed.inc({ reason });
  }

  #schedule(): void {
    this.#isScheduled = true;
    this.#ports.defer(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isClosed || this.#isBlocked || this.#batch.count === 0) return;
    this.#ports.metrics.records.inc({ direction: "out" }, this.#batch.count);
    this.#ports.metrics.batches.inc({ direction: "out" });
    this.#isBlocked = !this.#ports.uplink.write(this.#batch.take());
  }
}
