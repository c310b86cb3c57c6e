// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { readTraceContext, type TraceContext, writeTraceContext } from "#lib/tracing/trace-context.ts";
import type { Tracer, TraceSpan } from "#lib/tracing/tracer.ts";
import { Command } from "#proto/commands.ts";
import { RecordKind, type UplinkRecord } from "#proto/uplink/record.ts";
import type { LogicPort } from "./uplink-port.ts";

/** Messages without an answer that are traced at the same time; one per connection. */
const MAX_OPEN = 256;
const FORGET_MS = 60_000;
/** Connections that have not acknowledged what was traced. */
const MAX_DELIVERED = 1024;
const MAX_DELIVERED_EACH = 8;
/** An acknowledgement may cross the delivery; so many may come before the one that covers it. */
const MAX_ACKS = 4;
/** Between TRACED and its DELIVER, which follow each other. */
const MAX_ANNOUNCED = 64;

/** What {@link EntryTraces} needs. */
export interface EntryTracesPorts {
  tracer: Tracer;
  clock: Pick<Clock, "nowMs">;
  /** Runs `fn` when what this turn of the event loop queued has been written. */
  afterWrites: (fn: () => void) => void;
}

interface Open {
  readonly rid: number;
  readonly span: TraceSpan;
  readonly atMs: number;
}

interface Delivered {
  readonly inboxSeq: number;
  readonly context: TraceContext;
  acksLeft: number;
}

/**
 * The traces of an entry. They begin here, when a client's message comes in, and go to logic in front of its record; they come back
 * in front of a delivery, and go to logic again in front of the acknowledgement. What a client itself says of traces is not asked.
 */
export class EntryTraces {
  readonly #ports: EntryTracesPorts;
  readonly #open = new Map<number, Open>();
  /** By `conn/inbox seq`. */
  readonly #announced = new Map<string, TraceContext>();
  readonly #delivered = new Map<number, Delivered[]>();

  constructor(ports: EntryTracesPorts) {
    this.#ports = ports;
  }

  /** A message is about to go to logic, which is told if it is traced. Of one that is not, nothing is kept or made. */
  begin(logic: LogicPort, conn: number, rid: number, bytes: number): void {
    if (rid === 0 || !this.#ports.tracer.isSampled() || !this.#hasRoom(conn)) return;
    const span = this.#ports.tracer.start("send");
    span.note({ "messaging.message.body.size": bytes });
    this.#open.set(conn, { rid, span, atMs: this.#ports.clock.nowMs() });
    logic.send({ kind: RecordKind.TRACE, conn, rid, body: writeTraceContext(span.context) });
  }

  /** Logic answered a request, or this entry did. */
  answered(conn: number, rid: number, cmd: number): void {
    if (this.#open.size === 0) return;
    const open = this.#open.get(conn);
    if (open?.rid !== rid) return;
    this.#open.delete(conn);
    open.span.end(cmd === Command.ERROR ? "refused" : undefined);
  }

  /** An acknowledgement is about to go to logic, which reads of what. */
  acknowledging(logic: LogicPort, conn: number, rid: number): void {
    if (this.#delivered.size === 0) return;
    const delivered = this.#delivered.get(conn);
    if (!delivered) return;
    for (const { inboxSeq, context } of delivered)
      logic.send({ kind: RecordKind.TRACE, conn, rid, aux: inboxSeq, body: writeTraceContext(context) });
    const left = delivered.filter((one) => --one.acksLeft > 0);
    if (left.length > 0) this.#delivered.set(conn, left);
    else this.#delivered.delete(conn);
  }

  /** A record TRACED. */
  announced({ conn, aux, body }: UplinkRecord): void {
    const context = readTraceContext(body);
    if (!context) return;
    if (this.#announced.size >= MAX_ANNOUNCED) this.#announced.clear();
    this.#announced.set(`${conn}/${aux}`, context);
  }

  /** A delivery was queued for its client, or the client is gone. */
  delivered(conn: number, inboxSeq: number, isReached: boolean): void {
    if (this.#announced.size === 0) return;
    const key = `${conn}/${inboxSeq}`;
    const context = this.#announced.get(key);
    if (!context) return;
    this.#announced.delete(key);
    const span = this.#ports.tracer.start("deliver", context);
    if (!isReached) {
      span.end("unreachable");
      return;
    }
    this.#ports.afterWrites(() => span.end());
    this.#expectAck(conn, { inboxSeq, context: span.context, acksLeft: MAX_ACKS });
  }

  /** The connection is closed. */
  closed(conn: number): void {
    this.#delivered.delete(conn);
    const open = this.#open.get(conn);
    if (!open) return;
    this.#open.delete(conn);
    open.span.end("closed");
  }

  #expectAck(conn: number, one: Delivered): void {
    const known = this.#delivered.get(conn);
    if (!known && this.#delivered.size >= MAX_DELIVERED) return;
    if (known && known.length >= MAX_DELIVERED_EACH) known.shift();
    if (known) known.push(one);
    else this.#delivered.set(conn, [one]);
  }

  /** One message of a connection at a time. Answers that never came are given up when somebody needs the place. */
  #hasRoom(conn: number): boolean {
    if (this.#open.size < MAX_OPEN && !this.#open.has(conn)) return true;
    const nowMs = this.#ports.clock.nowMs();
    for (const [other, { span, atMs }] of this.#open) {
      if (nowMs - atMs <= FORGET_MS) continue;
      this.#open.delete(other);
      span.end("no answer");
    }
    return this.#open.size < MAX_OPEN && !this.#open.has(conn);
  }
}
