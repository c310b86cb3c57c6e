// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { ServerUplink } from "#lib/grpc.ts";
import type { Logger } from "#lib/logger.ts";
import { readTraceContext } from "#lib/tracing/trace-context.ts";
import type { Tracer } from "#lib/tracing/tracer.ts";
import { Command } from "#proto/commands.ts";
import { AttachRequest, SessionTag } from "#proto/gen/messages.ts";
import { RecordKind, readRecords, type UplinkRecord } from "#proto/uplink/record.ts";
import type { CommandHandlers } from "../command-handlers.ts";
import type { UnreachableHandler } from "../deliver/unreachable.ts";
import type { Gate } from "../gate.ts";
import { readPushAck } from "../inbox/ack-bytes.ts";
import type { AckBuffer } from "../inbox/acks.ts";
import type { EpochWatch } from "../inbox/epoch-watch.ts";
import type { HeadReader } from "../inbox/heads.ts";
import type { HistoryHandler } from "../inbox/history.ts";
import type { LateHeads } from "../inbox/late-heads.ts";
import type { PullHandler } from "../inbox/pull.ts";
import type { SnapshotHandler } from "../inbox/snapshot.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { PresenceDesk } from "../presence/presence-handler.ts";
import type { SendHandler } from "../send/send.ts";
import type { ActivityBuffer } from "../session/activity.ts";
import type { DeviceHandler } from "../session/devices.ts";
import type { SessionGuard } from "../session/guard.ts";
import type { LoginHandler, LoginOutcome } from "../session/login.ts";
import { loginResult } from "../session/login-result.ts";
import type { LogoutQueue } from "../session/logouts.ts";
import type { ReauthHandler } from "../session/reauth.ts";
import { disconnectBody, type EntryPort, type Session, sendError, sessionOfTag } from "../session/session.ts";
import type { Defer } from "../tick-batch.ts";
import type { Entries } from "./entries.ts";
import { type AnnouncedTrace, EntryStream, type PendingLogin } from "./entry-stream.ts";
import type { EntryLeases } from "./leases.ts";
import type { RouteWriter } from "./route-writer.ts";

/** Records that may come before ATTACHED was answered. */
const MAX_EARLY_BYTES = 4 * 1024 * 1024;

/** What {@link UplinkServer} needs. */
export interface UplinkServerPorts {
  leases: EntryLeases;
  loginGate: Gate;
  login: LoginHandler;
  reauth: ReauthHandler;
  guard: SessionGuard;
  devices: DeviceHandler;
  activity: ActivityBuffer;
  logouts: LogoutQueue;
  routes: RouteWriter;
  send: SendHandler;
  pull: PullHandler;
  history: HistoryHandler;
  snapshot: SnapshotHandler;
  acks: AckBuffer;
  epochs: EpochWatch;
  heads: HeadReader;
  lateHeads: LateHeads;
  unreachable: UnreachableHandler;
  presence: PresenceDesk;
  /** Commands of the chat beyond delivery. */
  chat: CommandHandlers;
  /** An entry is attached from this turn on. */
  onAttached: (entry: EntryPort) => void;
  clock: Clock;
  defer: Defer;
  log: Logger;
  metrics: LogicMetrics;
  /** Default: nothing is traced. */
  tracer?: Tracer | undefined;
}

/** Serves the streams of the entries: reads their records in order and hands each to its handler. */
export class UplinkServer {
  readonly #ports: UplinkServerPorts;
  readonly #entries: Entries;

  constructor(entries: Entries, ports: UplinkServerPorts) {
    this.#entries = entries;
    this.#ports = ports;
  }

  /** A new stream; the callbacks are set before this returns. */
  accept(uplink: ServerUplink): void {
    const stream = new EntryStream({ uplink, defer: this.#ports.defer, metrics: this.#ports.metrics });
    this.#entries.open(stream);
    const early: Buffer[] = [];
    let earlyBytes = 0;
    uplink.onBatch((batch) => {
      if (stream.incarnation !== "") {
        this.#read(stream, batch);
        return;
      }
      if (early.length === 0) void this.#attach(stream, firstRecord(batch), early);
      early.push(batch);
      earlyBytes += batch.length;
      if (earlyBytes > MAX_EARLY_BYTES) throw new ImError(ErrorCode.BUSY, "too many records before ATTACHED");
    });
    uplink.onClose((error) => this.#closed(stream, error));
  }

  async #attach(stream: EntryStream, request: AttachRequest, early: Buffer[]): Promise<void> {
    const attached = await this.#ports.leases.attach(stream, request);
    if (!attached || stream.isClosed) return;
    this.#entries.attach(stream);
    this.#ports.onAttached(stream);
    this.#ports.log.info({ entry: stream.name, incarnation: stream.incarnation, peer: stream.peer }, "entry attached");
    try {
      for (const batch of early.splice(0)) this.#read(stream, batch);
    } catch (error) {
      this.#ports.log.warn({ err: error, entry: stream.name }, "entry sent a broken batch");
      stream.close("malformed");
    }
  }

  #closed(stream: EntryStream, error: Error | undefined): void {
    stream.markClosed(error ? "error" : "ended");
    this.#entries.remove(stream);
    for (const pending of stream.logins.values()) pending.isGone = true;
    const { name, incarnation, peer } = stream;
    this.#ports.log.info({ entry: name, incarnation, peer, err: error }, "entry stream closed");
  }

  #read(stream: EntryStream, batch: Buffer): void {
    let count = 0;
    readRecords(batch, (record) => {
      count++;
      this.#dispatch(stream, record);
    });
    this.#ports.metrics.records.inc({ direction: "in" }, count);
    this.#ports.metrics.batches.inc({ direction: "in" });
  }

  #dispatch(stream: EntryStream, record: UplinkRecord): void {
    const { conn } = record;
    switch (record.kind) {
      case RecordKind.COMMAND:
        this.#command(stream, record);
        return;
      case RecordKind.ASK_HEAD: {
        const session = stream.sessions.get(conn);
        if (session) this.#ports.heads.ask(session);
        return;
      }
      case RecordKind.UNREACHABLE:
        this.#ports.unreachable.add({
          userId: Buffer.from(record.body).toString("utf8"),
          incarnation: stream.incarnation,
          conn,
          inboxSeq: record.aux,
        });
        return;
      case RecordKind.LOGIN:
        this.#login(stream, record);
        return;
      case RecordKind.BIND:
        this.#bind(stream, this.#sessionOf(stream, conn, record.body));
        return;
      case RecordKind.CLOSED:
        this.#connClosed(stream, conn);
        return;
      case RecordKind.LOGOUT:
        this.#logout(this.#sessionOf(stream, conn, record.body));
        return;
      case RecordKind.LOGIN_ABORTED:
        this.#ports.routes.forget(stream.incarnation, conn);
        return;
      case RecordKind.TRACE:
        this.#announceTrace(stream, record);
        return;
      case RecordKind.ROUND_TRIP:
        stream.noteRoundTrip(conn, record.aux);
        return;
      case RecordKind.REPORT:
        stream.noteReport(record.body, this.#ports.clock);
        return;
      case RecordKind.LEASE:
        void this.#ports.leases.renew(stream, record.rid, record.aux);
        return;
      default:
      // ATTACH again, or a kind of a newer entry: nothing to do, the rest of the batch counts.
    }
  }

  #announceTrace(stream: EntryStream, { conn, rid, aux: inboxSeq, body }: UplinkRecord): void {
    const context = this.#ports.tracer && readTraceContext(body);
    if (context) stream.announceTrace({ conn, rid, inboxSeq, context });
  }

  #command(stream: EntryStream, record: UplinkRecord): void {
    const { cmd, conn, rid, body: written } = record;
    const traces = stream.takeTraces(record);
    const session = stream.sessions.get(conn);
    if (!session) {
      const reason = "this server does not know the session yet: send it again";
      this.#ports.metrics.commands.inc({ code: "unbound" });
      sendError({ entry: stream, conn }, rid, { code: ErrorCode.RETRYABLE, reason, retryable: true });
      return;
    }
    // From here on all ids of users are internal ones.
    const body = session.entry.read?.(cmd, written) ?? written;
    switch (cmd) {
      case Command.SEND:
        this.#ports.send.handle(session, rid, body, traces[0]?.context);
        return;
      case Command.PUSH_ACK:
        this.#pushAck(session, rid, body, traces);
        return;
      case Command.SYNC:
        this.#ports.pull.handle(session, rid, body);
        return;
      case Command.HISTORY:
        this.#ports.history.handle(session, rid, body);
        return;
      case Command.SNAPSHOT:
        this.#ports.snapshot.handle(session, rid, body);
        return;
      case Command.REAUTH:
        this.#ports.reauth.handle(session, rid, body);
        return;
      case Command.APP_STATE:
        this.#ports.devices.appState(session, rid, body);
        return;
      case Command.DEVICE:
        this.#ports.devices.device(session, rid, body);
        return;
      case Command.PRESENCE_SUB:
      case Command.PRESENCE:
        this.#ports.presence.handle(session, { cmd, rid, body }, () => isBound(stream, session));
        return;
      default: {
        const handler = this.#ports.chat.get(cmd);
        if (handler) {
          handler(session, rid, body);
          return;
        }
        const reason = `command ${cmd} is not known here: see the capabilities in WELCOME`;
        this.#ports.metrics.commands.inc({ code: "unknown" });
        sendError(session, rid, { code: ErrorCode.UNKNOWN_COMMAND, reason });
      }
    }
  }

  #pushAck(session: Session, rid: number, body: Uint8Array, traces: readonly AnnouncedTrace[]): void {
    try {
      const inboxSeq = readPushAck(body);
      if (Number.isSafeInteger(inboxSeq)) this.#settle(session, inboxSeq, traces);
      else
        sendError(session, rid, {
          code: ErrorCode.CURSOR_INVALID,
          reason: "the position is no inbox seq: ack what came",
        });
    } catch {
      // The decoder's own message means nothing to the author of a client.
      const reason = "the body is not a PushAck message: encode it as in client.proto";
      this.#ports.metrics.commands.inc({ code: "bad_ack" });
      sendError(session, rid, { code: ErrorCode.BAD_REQUEST, reason });
    }
  }

  /** An entry says of each traced message that it may be meant: the first acknowledgement that covers it ends its trace. */
  #settle(session: Session, inboxSeq: number, traces: readonly AnnouncedTrace[]): void {
    if (traces.length === 0) {
      this.#ports.acks.note(session, inboxSeq);
      return;
    }
    const from = session.notedAckSeq;
    const meant = traces.filter((trace) => trace.inboxSeq > from && trace.inboxSeq <= inboxSeq);
    const spans = meant.map(({ context }) => this.#ports.tracer?.start("settle", context));
    this.#ports.acks.note(session, inboxSeq);
    for (const span of spans) span?.end();
  }

  /** The entry has closed the connection; CLOSED follows, or went to the logic before this one. */
  #logout(session: Session): void {
    this.#ports.routes.remove(session);
    this.#ports.logouts.add(session);
  }

  #login(stream: EntryStream, { conn, rid, body }: UplinkRecord): void {
    const pending: PendingLogin = { isGone: false, sinceMs: this.#ports.clock.nowMs() };
    stream.logins.set(conn, pending);
    this.#ports.loginGate.enter(
      async () => {
        if (pending.isGone) {
          if (stream.logins.get(conn) === pending) stream.logins.delete(conn);
          return;
        }
        const { mark } = this.#ports.guard;
        const attempt = { entry: stream, entryName: stream.name, conn, body };
        const outcome = await this.#ports.login.login(attempt);
        this.#answerLogin(stream, { conn, rid, pending }, outcome);
        if (outcome.kind === "ok" && !pending.isGone) this.#ports.guard.opened(outcome.session, mark);
      },
      () => {
        const reason = "too many logins at once: reconnect after the delay";
        const retryAfterMs = 2000;
        const code = DisconnectCode.OVERLOADED;
        this.#answerLogin(stream, { conn, rid, pending }, { kind: "denied", code, reason, retryAfterMs });
      },
    );
  }

  #answerLogin(
    stream: EntryStream,
    { conn, rid, pending }: { conn: number; rid: number; pending: PendingLogin },
    outcome: LoginOutcome,
  ): void {
    if (stream.logins.get(conn) === pending) stream.logins.delete(conn);
    this.#ports.metrics.logins[loginResult(outcome)]++;
    if (outcome.kind === "ok") {
      this.#ports.metrics.loginSeconds.observe((this.#ports.clock.nowMs() - pending.sinceMs) / 1000);
      const { session, isRouted } = outcome;
      this.#ports.metrics.tenantLogins.add(session.userId);
      if (pending.isGone) {
        this.#ports.routes.remove(session);
      } else {
        stream.sessions.set(conn, session);
        this.#ports.epochs.check(session);
        this.#ports.lateHeads.add(session, () => isBound(stream, session));
        stream.send({ kind: RecordKind.LOGIN_OK, conn, rid, body: outcome.reply });
      }
      if (!isRouted) this.#announce(stream, session, true);
      return;
    }
    const { code, reason, retryAfterMs } =
      outcome.kind === "denied"
        ? outcome
        : { code: DisconnectCode.ENTRY_FENCED, reason: "reconnect: this entry is being replaced", retryAfterMs: 0 };
    stream.send({ kind: RecordKind.LOGIN_DENIED, conn, rid, body: disconnectBody(code, reason, { retryAfterMs }) });
    if (outcome.kind === "fenced") this.#ports.leases.fence(stream);
  }

  #sessionOf(stream: EntryStream, conn: number, tag: Uint8Array): Session {
    return sessionOfTag(stream, conn, SessionTag.decode(tag), this.#ports.epochs.mark);
  }

  #bind(stream: EntryStream, session: Session): void {
    const { conn } = session;
    const known = stream.sessions.get(conn);
    if (known?.userId === session.userId && known.loginSeq === session.loginSeq) {
      // Said again to be safe: what this process knows of the session stays, but for a newer token.
      if (session.token.issuedAtMs >= known.token.issuedAtMs) known.token = session.token;
      this.#ports.guard.check(known);
      this.#announce(stream, known);
      return;
    }
    stream.sessions.set(conn, session);
    this.#ports.epochs.check(session);
    this.#ports.guard.check(session);
    this.#announce(stream, session);
    if (session.watches) this.#ports.presence.moved(session, () => isBound(stream, session));
  }

  #announce(stream: EntryStream, session: Session, isUnsure = false): void {
    this.#ports.routes.announce(session, {
      isUnsure,
      isOpen: () => isBound(stream, session),
      onFenced: () => this.#ports.leases.fence(stream),
    });
  }

  #connClosed(stream: EntryStream, conn: number): void {
    const pending = stream.logins.get(conn);
    if (pending) pending.isGone = true;
    const session = stream.sessions.get(conn);
    if (!session) return;
    stream.sessions.delete(conn);
    this.#ports.pull.closed(session);
    this.#ports.presence.closed(session);
    this.#ports.activity.note(session);
    this.#ports.routes.remove(session);
  }
}

/** Is the session still the one of its connection, on a stream that lives? */
function isBound(stream: EntryStream, session: Session): boolean {
  return stream.sessions.get(session.conn) === session && !stream.isClosed;
}

/** @throws {ImError} when the stream does not begin with ATTACH */
function firstRecord(batch: Buffer): AttachRequest {
  let request: AttachRequest | undefined;
  let isFirst = true;
  readRecords(batch, (record) => {
    if (isFirst && record.kind === RecordKind.ATTACH) request = AttachRequest.decode(record.body);
    isFirst = false;
  });
  if (request) return request;
  throw new ImError(ErrorCode.BAD_REQUEST, "the first record of a stream must be ATTACH");
}
