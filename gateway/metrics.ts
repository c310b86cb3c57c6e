// SPDX-License-Identifier: Apache-2.0
import type { Metrics } from "#lib/metrics.ts";
import type { EntryStats } from "./session/stats.ts";

/** Gauges that are read when Prometheus asks. */
export interface EntryGauges {
  connections(): number;
  /** Beyond so many a client is told to try another entry. */
  maxConnections(): number;
  sessions(): number;
  uplinks(): number;
  uplinkQueueBytes(): number;
  isReady(): boolean;
  isDraining(): boolean;
}

const REFUSAL_REASONS = [
  "origin",
  "proxy_header",
  "address_rate",
  "address_open",
  "failed_logins",
  "lag",
  "memory",
] as const;
/** Why a client was turned away before it was a connection. */
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Every metric of an entry: `im_entry_*`. Labels never hold a user, a device or an address. */
export class EntryMetrics {
  readonly #closed;
  readonly #login;
  readonly #handshakeFailures;
  readonly #refused;
  readonly #uplinkLost;
  readonly #certificateExpiry;
  readonly #roundTrip;
  readonly #stats: EntryStats;

  constructor(metrics: Metrics, stats: EntryStats) {
    this.#stats = stats;
    this.#closed = metrics.counter("im_entry_connections_closed_total", "Connections closed, by cause.", ["reason"]);
    this.#login = metrics.histogram("im_entry_login_duration_seconds", "HELLO to logic's answer.", ["result"]);
    this.#handshakeFailures = metrics.counter("im_entry_handshake_failures_total", "Before any frame.", ["stage"]);
    this.#refused = metrics.counter("im_entry_refused_total", "Clients turned away at the door, by reason.", [
      "reason",
    ]);
    for (const reason of REFUSAL_REASONS) this.#refused.inc({ reason }, 0);
    this.#uplinkLost = metrics.counter("im_entry_uplinks_lost_total", "Streams to logic that ended.");
    this.#certificateExpiry = metrics.gauge(
      "im_entry_certificate_expiry_timestamp_seconds",
      "When the certificate that clients are shown ends; 0 without one.",
    );
    this.#roundTrip = metrics.histogram("im_entry_round_trip_seconds", "Round trips, by the PINGs of clients.");
    const answers = "SEND to logic's answer, of one in eight.";
    const acks = "Delivery to the acknowledgement of its device, of one in eight.";
    const answerSeconds = metrics.plainHistogram("im_entry_answer_duration_seconds", answers);
    const ackSeconds = metrics.plainHistogram("im_entry_delivery_duration_seconds", acks);
    stats.answers.times.listen((durationMs) => answerSeconds.observe(durationMs / 1000));
    stats.acks.listen((durationMs) => ackSeconds.observe(durationMs / 1000));
    const count = (name: string, help: string, read: () => number) => metrics.counterOf(`im_entry_${name}`, help, read);
    count("connections_opened_total", "Connections that spoke frames.", () => stats.opened);
    count("frames_in_total", "Frames read from clients.", () => stats.framesIn);
    count("frames_out_total", "Frames written to clients.", () => stats.framesOut);
    count("bytes_in_total", "Bytes read from clients.", () => stats.bytesIn);
    count("bytes_out_total", "Bytes written to clients.", () => stats.bytesOut);
    count("socket_writes_total", "Writes to client sockets.", () => stats.writes);
    count("commands_total", "Client commands forwarded to logic.", () => stats.commands);
    count("commands_rejected_total", "Client commands answered BUSY here.", () => stats.rejectedBusy);
    const sendsHelp =
      "Messages that no logic was handed, by the answer; those that logic answered are in its own figures.";
    metrics.countersOf("im_entry_sends_failed_total", sendsHelp, "result", () => stats.sendsFailed);
    count("delivered_total", "Inbox events queued for a client.", () => stats.delivered);
    count("deliveries_dropped_total", "Inbox events a slow client must pull instead.", () => stats.deliveriesDropped);
    count(
      "ephemeral_dropped_total",
      "Frames of passing interest dropped for slow clients.",
      () => stats.ephemeralDropped,
    );
    count("unreachable_total", "Deliveries for a connection that is gone.", () => stats.unreachable);
    count("slow_consumers_total", "Connections closed because they did not read.", () => stats.slowConsumers);
    count("reads_paused_total", "Times a connection was not read because it sent too much.", () => stats.readsPaused);
    count("messages_limited_total", "Messages answered RATE_LIMITED here.", () => stats.messagesLimited);
    count("uplink_batches_total", "Batches written to logic.", () => stats.uplinkBatches);
    count("uplink_bytes_total", "Bytes written to logic.", () => stats.uplinkBytes);
  }

  /** Adds what is read from the running entry. */
  observe(metrics: Metrics, entry: EntryGauges): void {
    const gauge = (name: string, help: string, read: () => number) => metrics.gaugeOf(`im_entry_${name}`, help, read);
    gauge("connections", "Open client connections.", () => entry.connections());
    gauge("connections_limit", "Connections beyond which clients are sent on.", () => entry.maxConnections());
    gauge("sessions", "Authenticated connections.", () => entry.sessions());
    gauge("uplinks", "Logic pods attached.", () => entry.uplinks());
    gauge("uplink_queue_bytes", "Bytes that wait for logic.", () => entry.uplinkQueueBytes());
    gauge("ready", "1 while ready for new connections.", () => Number(entry.isReady()));
    gauge("draining", "1 while clients are asked to move.", () => Number(entry.isDraining()));
  }

  /** @param reason a name of codes.ts, or client_gone, client_reset, client_fault */
  closed(reason: string): void {
    this.#closed.inc({ reason });
  }

  login(result: "ok" | "denied", durationMs: number): void {
    this.#login.observe({ result }, durationMs / 1000);
    this.#stats.logins.note(result === "ok", durationMs);
  }

  roundTrip(durationMs: number): void {
    this.#roundTrip.observe({}, durationMs / 1000);
  }

  handshakeFailed(stage: "tls" | "refused"): void {
    this.#handshakeFailures.inc({ stage });
  }

  refused(reason: RefusalReason): void {
    this.#refused.inc({ reason });
  }

  /** @param notAfterMs end of the certificate in force, wall clock */
  certificate(notAfterMs: number): void {
    this.#certificateExpiry.set(notAfterMs / 1000);
  }

  uplinkLost(): void {
    this.#uplinkLost.inc();
  }
}
