// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { type TraceContext, writeTraceContext } from "#lib/tracing/trace-context.ts";
import type { TraceSpan } from "#lib/tracing/tracer.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Route } from "../router/router.ts";
import type { EntryDirectory, EntryPort } from "../session/session.ts";
import type { Recipient } from "../store/store.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";
import { EventFields, PUSH_EVENTS_TAG, type SharedEvent } from "./event-bytes.ts";
import type { PushIntent } from "./offline.ts";
import type { RouteCache } from "./route-cache.ts";
import { type Parcel, UnattachedEntries } from "./unattached.ts";

const MAX_BATCH = 1000;
/** Messages that wait for a lookup. Beyond it they are not pushed: clients see the head with the next PONG. */
const MAX_WAITING = 20_000;
/** A lost connection to Redis is back within these, a lost Redis is not. */
const LOOKUP_RETRIES_MS = [50, 200] as const;

/** Of a traced message so many recipients are followed to their devices. */
const MAX_TRACED = 16;

const NO_ROUTES: readonly Route[] = [];

/** A committed message on its way to whoever is online. */
export interface Outgoing {
  event: SharedEvent;
  /** The sender is one of them: other slots of the same user get it too. */
  recipients: readonly Recipient[];
  /** Of the inbox epoch that their positions are of: a session of another one does not get it. See epoch-mark.ts. */
  epochMark: number;
  /** The sending connection: its SEND_ACK says it all. */
  origin: { incarnation: string; conn: number };
  /** It is in a large group: who else was in it at this version is told, too. */
  largeVersion?: number | undefined;
  /** Nobody is pushed to for it, and nobody waits for its acknowledgement. Default false. */
  isSilent?: boolean;
  /** Of a message that is traced: ended when every entry was told. */
  span?: TraceSpan | undefined;
}

/** Of a message that no connection sent: every session of its sender hears of it, too. */
export const NO_ORIGIN: Outgoing["origin"] = { incarnation: "", conn: 0 };

/** What {@link Delivery} needs. */
export interface DeliveryPorts {
  routes: Pick<RouteCache, "fresh" | "lookup">;
  entries: EntryDirectory;
  /** A message of somebody else is on its way to the user's device in this slot, which must acknowledge it in time. 0 = unknown. */
  delivered: (userId: string, slot: string, inboxSeq: number, roundTripMs: number) => void;
  /** Takes a recipient who could not be reached online. */
  offline: (intent: PushIntent) => void;
  /** Notes that the user is not to be pushed to for what has this inbox seq. */
  silent: (userId: string, inboxSeq: number) => void;
  /** A traced message is on its way to the user's devices, which may not acknowledge it. Default: nobody asks. */
  traced?: ((userId: string, inboxSeq: number, context: TraceContext) => void) | undefined;
  /** A router call failed; delivery goes on without it. */
  onRouterFault: (op: string, error: unknown) => void;
  clock: Clock;
  defer: Defer;
  metrics: LogicMetrics;
}

/**
 * Hands messages to routed sessions: one route lookup per tick for all of them, one DELIVER per session. Messages
 * keep their order towards each session. Live routes whose entry is not attached here wait for it, at most 5 s: after a
 * restart of this process users are not offline. Nothing here is needed for safety: the inbox row is already committed.
 */
export class Delivery {
  readonly #ports: DeliveryPorts;
  readonly #batch: TickBatch<Outgoing>;
  readonly #unattached: UnattachedEntries;

  constructor(ports: DeliveryPorts) {
    this.#ports = ports;
    this.#unattached = new UnattachedEntries({
      clock: ports.clock,
      onDelivered: ({ userId, inboxSeq, isOwn }, slot) => {
        ports.metrics.delivers.delivered++;
        if (!isOwn) ports.delivered(userId, slot, inboxSeq, 0);
      },
      onMissed: ({ userId, inboxSeq }) => this.#toOffline(userId, inboxSeq),
    });
    this.#batch = new TickBatch({
      defer: ports.defer,
      run: (batch) => this.#run(batch),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
    });
  }

  /** Nothing is under way; deliveries that wait for an entry do not count. */
  get isIdle(): boolean {
    return this.#batch.isIdle;
  }

  /** Deliveries that wait until their entry is attached. */
  get parked(): number {
    return this.#unattached.parked;
  }

  /** Call in the turn in which the directory begins to find `entry`: later deliveries must not overtake parked ones. */
  attached(entry: EntryPort): void {
    this.#unattached.attached(entry);
  }

  /** The incarnation was fenced: its users are pushed to without waiting. */
  gone(incarnation: string): void {
    this.#unattached.gone(incarnation);
  }

  /** Waits for no entry any more: what is parked goes the offline way now, the rest at once. Releases timers. */
  close(): void {
    this.#unattached.close();
  }

  /**
   * When all routes are known and nothing waits, the DELIVER is queued in this very call: it travels with the SEND_ACK,
   * and the entry writes both at once to whoever gets both.
   */
  deliver(outgoing: Outgoing): void {
    const routes = this.#batch.isIdle ? this.#freshRoutes(outgoing.recipients) : undefined;
    if (routes) this.#deliverOne(outgoing, routes);
    else if (!this.#batch.add(outgoing)) {
      this.#ports.metrics.delivers.dropped += outgoing.recipients.length;
      outgoing.span?.end("dropped");
    }
  }

  async #run(batch: readonly Outgoing[]): Promise<void> {
    const users = new Set<string>();
    for (const { recipients } of batch) for (const { userId } of recipients) users.add(userId);
    const routes = await this.#lookup([...users]);
    if (!routes) {
      this.#ports.metrics.delivers.unknown += batch.length;
      for (const { span } of batch) span?.end("router away");
      return;
    }
    for (const outgoing of batch) {
      const known = outgoing.recipients.map(({ userId }) => routes.get(userId) ?? NO_ROUTES);
      this.#deliverOne(outgoing, known);
    }
  }

  /** By index of the recipient; undefined when the router has to be asked for one of them. */
  #freshRoutes(recipients: readonly Recipient[]): (readonly Route[])[] | undefined {
    const nowMs = this.#ports.clock.nowMs();
    const found: (readonly Route[])[] = [];
    for (const { userId } of recipients) {
      const routes = this.#ports.routes.fresh(userId, nowMs);
      if (!routes) return undefined;
      found.push(routes);
    }
    return found;
  }

  /** Undefined when the router stays away: recipients see the head with their next PONG. */
  async #lookup(userIds: readonly string[]): Promise<Map<string, readonly Route[]> | undefined> {
    for (const retryMs of [...LOOKUP_RETRIES_MS, 0]) {
      try {
        return await this.#ports.routes.lookup(userIds);
      } catch (error) {
        this.#ports.onRouterFault("lookup", error);
      }
      if (retryMs > 0) await new Promise<void>((resolve) => void this.#ports.clock.after(retryMs, resolve));
    }
    return undefined;
  }

  /** @param routes by index of the recipient */
  #deliverOne(outgoing: Outgoing, routes: readonly (readonly Route[])[]): void {
    const { event, recipients, span } = outgoing;
    const fields = new EventFields(PUSH_EVENTS_TAG, event);
    const untraced = span && recipients.length > MAX_TRACED ? { ...outgoing, span: undefined } : outgoing;
    for (let index = 0; index < recipients.length; index++) {
      const recipient = recipients[index];
      const what = index < MAX_TRACED ? outgoing : untraced;
      if (recipient) this.#toUser(recipient, routes[index] ?? NO_ROUTES, fields, what);
    }
    if (!span) return;
    for (const recipient of recipients.slice(0, MAX_TRACED)) this.#note(outgoing, recipient);
    span.note({ "messaging.message.id": event.messageId, "im.recipients": recipients.length });
    span.end();
  }

  /** To all sessions of the user but the one it came from. Whom nobody reaches, now or later, is pushed to. */
  #toUser({ userId, inboxSeq }: Recipient, routes: readonly Route[], fields: EventFields, outgoing: Outgoing): void {
    const { entries, metrics } = this.#ports;
    const { epochMark, origin, span } = outgoing;
    const isOwn = this.#isQuiet(outgoing, userId, inboxSeq);
    let isReached = false;
    let body: Uint8Array | undefined;
    let parcel: Parcel | undefined;
    for (const { incarnation, conn, slot } of routes) {
      if (conn === origin.conn && incarnation === origin.incarnation) continue;
      body ??= fields.of(inboxSeq);
      const entry = entries.find(incarnation);
      if (entry) {
        if (!handTo(entry, { kind: RecordKind.DELIVER, conn, rid: epochMark, aux: inboxSeq, body }, span)) continue;
        isReached = true;
        metrics.delivers.delivered++;
        if (!isOwn) this.#ports.delivered(userId, slot, inboxSeq, entry.roundTripMs?.(conn) ?? 0);
        continue;
      }
      const waiting = parcel ?? { userId, inboxSeq, epochMark, body, parkedFor: 0, owesPush: false, isOwn };
      if (!this.#unattached.park({ incarnation, conn, slot }, waiting)) continue;
      parcel = waiting;
      metrics.delivers.parked++;
    }
    if (isReached || isOwn) return;
    if (parcel) parcel.owesPush = true;
    else this.#toOffline(userId, inboxSeq, span);
  }

  /** A device may stay silent: then whoever pushes finds the trace. */
  #note({ event, isSilent, span }: Outgoing, { userId, inboxSeq }: Recipient): void {
    if (span && !isSilent && userId !== event.sender) this.#ports.traced?.(userId, inboxSeq, span.context);
  }

  /** Is nobody to be pushed to for it: by the user themselves, or silent? */
  #isQuiet({ event, isSilent }: Outgoing, userId: string, inboxSeq: number): boolean {
    if (isSilent) this.#ports.silent(userId, inboxSeq);
    return isSilent === true || userId === event.sender;
  }

  #toOffline(userId: string, inboxSeq: number, span?: TraceSpan): void {
    this.#ports.metrics.delivers.offline++;
    const trace = span?.context;
    this.#ports.offline({ userId, inboxSeq, cause: "offline", ...(trace ? { trace } : {}) });
  }
}

/** Says in front of a DELIVER that it is traced, where it is. */
function handTo(entry: EntryPort, record: RecordInput & { conn: number; aux: number }, span?: TraceSpan): boolean {
  const { conn, aux } = record;
  if (span) entry.send({ kind: RecordKind.TRACED, conn, aux, body: writeTraceContext(span.context) });
  return entry.send(record);
}
