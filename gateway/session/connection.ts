// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { DisconnectCode, disconnectReason } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import type { Disconnect, LoginReply } from "#proto/gen/messages.ts";
import { isSameEpoch } from "#proto/uplink/epoch-mark.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { disconnectFrame, errorFrame, goawayFrame, kickFrame, pongFrame } from "../wire/bodies.ts";
import type { EnvelopeReader } from "../wire/envelope.ts";
import { encodeFrame, withLease } from "../wire/envelope.ts";
import { readUints, type Uints } from "../wire/uints.ts";
import { announceSession, bindSession, leaveLogic } from "./binding.ts";
import type { Carrier, Gone } from "./carrier.ts";
import { BUSY_RETRY_MS, forwardCommand } from "./forward-command.ts";
import { isForwarded } from "./forwarded.ts";
import { type HeartbeatItem, NO_ECHO, TICK_MS } from "./heartbeat/heartbeats.ts";
import type { Hub } from "./hub.ts";
import { Intake, type IntakeOwner } from "./intake.ts";
import { beginLogin } from "./login.ts";
import { movedState, tellTickOf, whyTold } from "./moved.ts";
import { Outbox } from "./outbox.ts";
import { type ConnectionState, HELLO_STATE, holdDelivery, type Session, sessionOf, setAppState } from "./session.ts";
import { SessionPace } from "./session-pace.ts";
import type { LogicPort } from "./uplink-port.ts";

/** A closed connection gets this long to read the last frame. */
const LINGER_TICKS = 3;
const NEVER = Number.POSITIVE_INFINITY;

/** One client: frames in, frames out, and the state between. Never looks into a body. */
export class Connection implements IntakeOwner, HeartbeatItem {
  /** Unique for the life of this incarnation. */
  readonly conn: number;
  place = 0;
  readonly #hub: Hub;
  readonly #carrier: Carrier;
  readonly #intake: Intake;
  readonly #outbox: Outbox;
  #state: ConnectionState = HELLO_STATE;
  #isDirty = false;
  /** Deadline of the state it is in, without the one for slow readers. */
  #deadlineTick: number;

  constructor(hub: Hub, conn: number, carrier: Carrier, acceptedTick: number) {
    this.#hub = hub;
    this.conn = conn;
    this.#carrier = carrier;
    this.#intake = new Intake(this, hub.stats);
    this.#outbox = new Outbox(carrier, hub.stats);
    this.#deadlineTick = acceptedTick + Math.ceil(hub.loginTimeoutMs / TICK_MS) + 1;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The session while there is one. */
  get session(): Session | undefined {
    return this.#state.kind === "open" || this.#state.kind === "draining" ? this.#state.session : undefined;
  }

  // Inbound

  /** Bytes of a stream, cut anywhere. */
  onBytes(chunk: Buffer): void {
    this.#intake.onBytes(chunk);
  }

  /** One WebSocket message: whole frames. @param bytes as it came: in another form it was longer */
  onMessage(message: Buffer, bytes: number = message.length): void {
    this.#intake.onMessage(message, bytes);
  }

  /** A message in another form than frames, of which none could be made: counts as one. Before the login it ends the connection. */
  onRefused(bytes: number, rid: number, code: number, reason: string): void {
    if (!this.#intake.admit(bytes)) return;
    this.#hub.stats.framesIn++;
    const { session } = this;
    if (session) {
      this.#expectBeat(session);
      this.#intake.took(1, bytes);
      this.#sendError(rid, code, reason);
    } else this.close(DisconnectCode.PROTOCOL_ERROR, reason, rid);
  }

  /** Bytes that mean nothing here, such as a ping of the carrier's own: they count as a frame. */
  onIdleBytes(bytes: number): void {
    if (this.#intake.admit(bytes)) this.#intake.took(1, bytes);
  }

  onHeldBack(dueTick: number): void {
    this.#deadlineTick = Math.max(this.#deadlineTick, dueTick);
  }

  onFrame(buffer: Buffer, start: number, end: number): boolean {
    const envelope = this.#hub.envelope;
    this.#hub.stats.framesIn++;
    if (!envelope.read(buffer, start, end)) {
      this.close(DisconnectCode.BAD_FRAME, "bytes that are no envelope");
      return false;
    }
    const state = this.#state;
    switch (state.kind) {
      case "hello":
        this.#onFirstFrame(envelope);
        break;
      case "login":
        this.#onFrameWhileLogin(envelope);
        break;
      case "open":
      case "draining":
        this.#deadlineTick = this.#hub.heartbeats.nowTick + state.session.pingTicks;
        this.#hub.heartbeats.touch(this, envelope.lease);
        this.#onSessionFrame(envelope, state.session);
        break;
    }
    return this.#state.kind !== "closed";
  }

  #onFirstFrame(envelope: EnvelopeReader): void {
    if (envelope.cmd !== Command.HELLO) {
      this.close(DisconnectCode.PROTOCOL_ERROR, "the first frame must be HELLO", envelope.rid);
      return;
    }
    const login = beginLogin(this.#hub, this.conn, this.#carrier, envelope);
    if ("code" in login) this.close(login.code, login.reason, envelope.rid, login.waitMs);
    else this.#state = { kind: "login", login };
  }

  #onFrameWhileLogin(envelope: EnvelopeReader): void {
    if (envelope.cmd === Command.HELLO) {
      this.close(DisconnectCode.PROTOCOL_ERROR, "a second HELLO", envelope.rid);
    } else if (envelope.cmd === Command.PING) {
      this.#send(pongFrame(envelope.rid, this.#hub.clock.wallMs(), 0));
    } else {
      this.#sendError(envelope.rid, ErrorCode.UNAUTHENTICATED, "wait for WELCOME");
    }
  }

  #onSessionFrame(envelope: EnvelopeReader, session: Session): void {
    const { cmd, rid } = envelope;
    if (cmd === Command.PING) {
      this.#onPing(envelope, session);
    } else if (cmd === Command.HELLO) {
      this.close(DisconnectCode.PROTOCOL_ERROR, "a second HELLO", rid);
    } else if (cmd === Command.LOGOUT) {
      this.#hub.handover.logout(this.conn, session.tag);
      this.close(DisconnectCode.LOGGED_OUT, "signed out", rid);
    } else if (!isForwarded(cmd)) {
      this.#sendError(rid, ErrorCode.UNKNOWN_COMMAND, `unknown command ${cmd}`);
    } else {
      if (cmd === Command.APP_STATE && readUints(envelope.body, uints)) {
        // The rhythm that is expected from now on; logic notes the state itself.
        setAppState(session, uints.first);
        this.#expectBeat(session);
      }
      this.#forward(envelope, session);
    }
  }

  /** Sets the deadline where it may have moved earlier. */
  #expectBeat(session: Session): void {
    const { heartbeats } = this.#hub;
    this.#deadlineTick = heartbeats.nowTick + session.pingTicks;
    heartbeats.schedule(this);
    heartbeats.touch(this, NO_ECHO);
  }

  #onPing({ rid, body }: EnvelopeReader, session: Session): void {
    const { clock, logics, metrics } = this.#hub;
    const nowMs = clock.nowMs();
    if (readUints(body, uints)) {
      const sampleMs = session.roundTrip.heard(uints.first, uints.second, nowMs);
      if (sampleMs >= 0) metrics.roundTrip(sampleMs);
    }
    this.#sendLeased(this.#headsFrame(session, rid));
    session.roundTrip.mark(rid, nowMs);
    session.roundTrip.tell(logics, this.conn);
    bindSession(logics, this.conn, session)?.send({ kind: RecordKind.ASK_HEAD, conn: this.conn });
  }

  #forward(envelope: EnvelopeReader, session: Session): void {
    const refusal = forwardCommand(this.#hub, this.conn, session, envelope);
    if (refusal) this.#refuse(envelope.rid, refusal.code, refusal.reason, refusal.retryAfterMs);
  }

  // From logic

  /** The login was accepted. */
  onLoginOk(reply: LoginReply): void {
    if (this.#state.kind !== "login") return;
    const { login } = this.#state;
    const nowMs = this.#hub.clock.nowMs();
    login.attempt.end(false, nowMs);
    const session = sessionOf(login.logic, reply, this.#hub.pingIntervalMs);
    this.#state = { kind: "open", session };
    this.#intake.onLogin(new SessionPace(this.#hub, session, this.#outbox));
    this.#expectBeat(session);
    this.#hub.sessionOpened();
    this.#hub.metrics.login("ok", nowMs - login.startedMs);
    session.roundTrip.mark(login.rid, nowMs);
    this.#sendLeased(encodeFrame(Command.WELCOME, login.rid, Flag.REPLY, reply.welcome));
    for (const { seq, body, epochMark } of login.held) this.#push(session, seq, body, epochMark);
    if (login.hasDropped) this.#send(this.#headsFrame(session));
  }

  /** The login was refused. */
  onLoginDenied(why: Disconnect): void {
    if (this.#state.kind !== "login") return;
    const { login } = this.#state;
    this.#hub.metrics.login("denied", this.#hub.clock.nowMs() - login.startedMs);
    this.close(why.code, why.reason, login.rid, why.retryAfterMs);
  }

  /** An inbox event, `seq` of the epoch with this mark. `body` is a view of the batch. False: this connection is closed. */
  onDeliver(seq: number, body: Uint8Array, epochMark = 0): boolean {
    const state = this.#state;
    switch (state.kind) {
      case "login":
        holdDelivery(state.login, seq, body, epochMark);
        return true;
      case "open":
      case "draining":
        this.#push(state.session, seq, body, epochMark);
        return true;
      default:
        return false;
    }
  }

  /** A frame of logic for this client. `seq` = inbox seq it carries, or 0. */
  onReply(cmd: number, flags: number, rid: number, seq: number, body: Uint8Array): void {
    const session = this.session;
    if (!session) return;
    if (rid !== 0 && session.inFlight > 0) session.inFlight--;
    if (rid !== 0) this.#hub.stats.answers.answered(this.conn, rid, this.#hub.clock);
    this.#hub.traces?.answered(this.conn, rid, cmd);
    if (seq > session.head) session.head = seq;
    const isEphemeral = rid === 0 && (flags & Flag.NO_PERSIST) !== 0;
    if (!isEphemeral) this.#send(encodeFrame(cmd, rid, flags, body));
    else if (this.#outbox.addEphemeral(cmd, flags, body)) this.#touch();
    else this.#hub.stats.ephemeralDropped++;
  }

  /** A frame for many, which all of them share: it may be dropped, as they learn of it with their next PONG. */
  onBroadcast(cmd: number, frame: Buffer): void {
    if (!this.session) return;
    if (this.#outbox.addShared(cmd, frame)) this.#hub.stats.broadcastsOut++;
    else this.#hub.stats.ephemeralDropped++;
    this.#touch();
  }

  /** The inbox head as the store knows it; a push for it may have been lost on the way. */
  onHead(head: number): void {
    const session = this.session;
    if (!session || head <= session.head) return;
    session.head = head;
    this.#send(this.#headsFrame(session));
  }

  /** Logic changed what it knows of the session. */
  onTag(tag: Uint8Array): void {
    const session = this.session;
    if (session) session.tag = Buffer.from(tag).toString("latin1");
  }

  onKick(why: Disconnect): void {
    const moved = movedState(this.#state, why, this.#hub.heartbeats.nowTick);
    if (!moved) {
      this.#kick(why);
      return;
    }
    this.#state = moved;
    this.#hub.heartbeats.schedule(this);
  }

  #kick(why: Disconnect): void {
    if (this.#state.kind === "closed") return;
    this.#outbox.add(kickFrame(why.code, why.reason, why.byDevice, this.#hub.clock.wallMs()));
    this.#finish(why.code, why.reason);
  }

  /** Its logic is gone, and with it the answers it owed. */
  onLogicLost(logic: LogicPort): void {
    const state = this.#state;
    if (state.kind === "login" && state.login.logic === logic) {
      this.close(DisconnectCode.LOGIC_UNAVAILABLE, "the login was interrupted: try again", state.login.rid);
      return;
    }
    const session = this.session;
    if (session?.logic !== logic) return;
    session.logic = undefined;
    if (session.inFlight === 0) return;
    session.inFlight = 0;
    this.#refuse(0, ErrorCode.RETRYABLE, "a server was lost: send again what was not acknowledged");
  }

  /** Binds the session to a logic if it has none: it can be kicked only where it is known. */
  rebind(): void {
    const session = this.session;
    if (session && !session.logic) bindSession(this.#hub.logics, this.conn, session);
  }

  /** The router forgot this session: announce it again. */
  announce(asking: LogicPort): void {
    const session = this.session;
    if (session) announceSession(this.conn, session, asking);
  }

  /** Asks the client to move; before the login is answered there is nothing to move. */
  askToMove(reason: string, minDelayMs: number, maxDelayMs: number, endpoints: readonly string[] = []): void {
    if (this.#state.kind !== "open") return;
    this.#state = { kind: "draining", session: this.#state.session };
    this.#send(goawayFrame(reason, minDelayMs, maxDelayMs, endpoints));
  }

  // Outbound

  /** A position of another epoch would be taken for one that the client knows: it is told to begin anew, and pulls. */
  #push(session: Session, seq: number, body: Uint8Array, epochMark: number): void {
    if (!isSameEpoch(session.epochMark, epochMark)) return;
    if (!session.owesAck) this.#hub.stats.acks.begin(this.conn, 0, this.#hub.clock);
    session.owesAck = true;
    if (seq > session.head) session.head = seq;
    if (this.#outbox.addEvent(body)) this.#hub.stats.delivered++;
    else this.#hub.stats.deliveriesDropped++;
    this.#touch();
  }

  #sendError(rid: number, code: number, reason: string): void {
    this.#send(errorFrame(rid, { code, reason }));
  }

  #refuse(rid: number, code: number, reason: string, retryAfterMs = BUSY_RETRY_MS): void {
    this.#send(errorFrame(rid, { code, reason, isRetryable: true, retryAfterMs }));
  }

  /** PONG, to a PING or unasked: how far everything is that the client may be behind. */
  #headsFrame(session: Session, rid = 0): Buffer {
    const { clock, broadcasts } = this.#hub;
    return pongFrame(rid, clock.wallMs(), session.head, broadcasts.headOf(session));
  }

  #send(frame: Buffer): void {
    if (this.#outbox.add(frame)) this.#touch();
    else this.#finish(DisconnectCode.SLOW_CONSUMER, "did not read its answers");
  }

  /** With what the heartbeat's algorithm wants to be told again. */
  #sendLeased(frame: Buffer): void {
    const lease = this.#hub.heartbeats.leaseOf(this);
    this.#send(lease ? withLease(frame, lease) : frame);
  }

  #touch(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#hub.markDirty(this);
  }

  /** Writes what waits. Called by the hub once per turn, and when the socket drained. */
  flush(): void {
    this.#isDirty = false;
    if (this.#state.kind === "closed") return;
    const outbox = this.#outbox;
    const { nowTick } = this.#hub.heartbeats;
    const { isBlocked: wasBlocked, isPausedByBacklog: wasPaused } = outbox;
    outbox.flush(nowTick);
    if (!outbox.isBlocked && outbox.needsPull) {
      outbox.clearNeedsPull();
      if (this.session) outbox.add(this.#headsFrame(this.session));
      outbox.flush(nowTick);
    }
    if (wasPaused && !outbox.isPausedByBacklog) this.#readAgain(nowTick);
    if (outbox.isBlocked && !wasBlocked) this.#hub.heartbeats.schedule(this);
  }

  /** It could not be heard while it was not read: its time begins now. */
  #readAgain(nowTick: number): void {
    this.#deadlineTick = Math.max(this.#deadlineTick, nowTick + (this.session?.pingTicks ?? 0));
    this.#hub.heartbeats.schedule(this);
  }

  /** The socket took everything it was given. */
  onDrain(): void {
    if (this.#state.kind === "closed") return;
    this.#outbox.onDrain();
    this.flush();
  }

  // Deadlines

  dueTick(): number {
    if (this.#state.kind === "closed") return this.#deadlineTick;
    const { slowTick, isPausedByBacklog } = this.#outbox;
    const ownTick = isPausedByBacklog && this.session ? NEVER : this.#deadlineTick;
    return Math.min(ownTick, slowTick, tellTickOf(this.#state));
  }

  onDue(nowTick: number): void {
    switch (this.#state.kind) {
      case "closed":
        this.#carrier.destroy();
        this.#deadlineTick = NEVER;
        return;
      case "hello":
      case "login":
        this.close(DisconnectCode.LOGIN_TIMEOUT, "the login took too long");
        return;
      case "open":
      case "draining": {
        const why = whyTold(this.#state, nowTick);
        if (why) this.#kick(why);
        else if (nowTick >= this.#outbox.slowTick) {
          this.#hub.stats.slowConsumers++;
          this.close(DisconnectCode.SLOW_CONSUMER, "did not read for 30 s");
        } else this.close(DisconnectCode.PING_TIMEOUT, "silent for two ping intervals");
      }
    }
  }

  // End

  /** Sends ERROR with `code` and closes. `rid` = the request that is answered by it. */
  close(code: number, reason: string, rid = 0, retryAfterMs = 0): void {
    if (this.#state.kind === "closed") return;
    this.#outbox.add(disconnectFrame(rid, code, reason, retryAfterMs));
    this.#finish(code, reason);
  }

  /** The socket is gone, by the client, by a fault, or after a close of ours. */
  onGone(how: Gone = "client_gone"): void {
    if (this.#state.kind !== "closed") {
      this.#leave(0, how);
      this.#outbox.clear();
    }
    this.#deadlineTick = NEVER;
    this.#hub.gone(this);
  }

  /** The client ends it or broke the carrier's rules, and was answered so: its socket has a moment to go. */
  onLeaving(how: Gone): void {
    if (this.#state.kind === "closed") return;
    this.#leave(0, how);
    this.#linger();
  }

  /** Cuts the socket; onGone follows. */
  destroy(): void {
    this.#carrier.destroy();
  }

  #finish(code: number, reason: string): void {
    if (this.#state.kind === "closed") return;
    this.#outbox.flush(this.#hub.heartbeats.nowTick);
    this.#leave(code);
    this.#carrier.end(code, reason);
    this.#linger();
  }

  #linger(): void {
    this.#outbox.clear();
    this.#deadlineTick = this.#hub.heartbeats.nowTick + LINGER_TICKS;
    this.#hub.heartbeats.schedule(this);
  }

  /** Tells logic and the hub that this connection is no longer one. */
  #leave(code: number, cause: string = disconnectReason(code)): void {
    const state = this.#state;
    const userId = this.session?.userId;
    this.#state = { kind: "closed", code };
    this.#intake.close();
    this.#hub.metrics.closed(cause);
    if (state.kind === "login") state.login.attempt.end(code === DisconnectCode.TOKEN_INVALID, this.#hub.clock.nowMs());
    leaveLogic(this.#hub, this.conn, state);
    this.#hub.closed(this, userId);
  }
}

/** Of the frame that is being handled. */
const uints: Uints = { first: 0, second: 0 };
