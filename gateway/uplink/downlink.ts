// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { Logger } from "#lib/logger.ts";
import { Disconnect, LoginReply } from "#proto/gen/messages.ts";
import { RecordKind, type UplinkRecord } from "#proto/uplink/record.ts";
import type { Connection } from "../session/connection.ts";
import type { Hub } from "../session/hub.ts";
import type { LogicPort } from "../session/uplink-port.ts";
import type { SessionAnnouncer } from "./announcer.ts";
import type { LogicLink } from "./link.ts";

/** Connections visited per turn of the event loop when all sessions are moved. */
const PORTION = 500;

/** Takes the records of logic to the connections they are for. */
export class Downlink {
  readonly #hub: Hub;
  readonly #log: Logger;
  readonly #onLogin: (connection: Connection) => void;
  readonly #announcer: SessionAnnouncer;
  #isRebinding = false;
  #mustAnnounce = false;
  #mustRebindAgain = false;

  /** @param onLogin runs after each login that was accepted */
  constructor(hub: Hub, log: Logger, announcer: SessionAnnouncer, onLogin: (connection: Connection) => void) {
    this.#hub = hub;
    this.#log = log;
    this.#announcer = announcer;
    this.#onLogin = onLogin;
  }

  onRecord(link: LogicLink, record: UplinkRecord): void {
    const connection = this.#hub.find(record.conn);
    switch (record.kind) {
      case RecordKind.DELIVER: {
        const isReached = connection?.onDeliver(record.aux, record.body, record.rid) === true;
        if (!isReached) this.#onUnreachable(link, record, connection);
        this.#hub.traces?.delivered(record.conn, record.aux, isReached);
        return;
      }
      case RecordKind.REPLY:
        connection?.onReply(record.cmd, record.flags, record.rid, record.aux, record.body);
        return;
      case RecordKind.HEAD:
        connection?.onHead(record.aux);
        return;
      case RecordKind.LOGIN_OK:
        this.#onLoginOk(link, record, connection);
        return;
      case RecordKind.LOGIN_DENIED:
        connection?.onLoginDenied(Disconnect.decode(record.body));
        return;
      case RecordKind.KICK:
        connection?.onKick(Disconnect.decode(record.body));
        return;
      case RecordKind.SESSION_TAG:
        connection?.onTag(record.body);
        return;
      case RecordKind.LOGOUT_DONE:
        this.#hub.handover.logoutDone(record.conn);
        return;
      case RecordKind.SYS_HEAD:
        this.#hub.broadcasts.onHead(Buffer.from(record.body).toString("utf8"), record.aux, record.rid);
        return;
      case RecordKind.BROADCAST:
        this.#hub.broadcasts.onBroadcast(record);
        return;
      case RecordKind.TRACED:
        this.#hub.traces?.announced(record);
        return;
      case RecordKind.REANNOUNCE:
        this.#announceAll(link);
        return;
      default:
        // A newer logic may know more kinds.
        this.#log.debug({ kind: record.kind, logic: link.name }, "record of an unknown kind");
    }
  }

  /** The answers that a lost logic owed will not come. */
  onLost(link: LogicLink): void {
    for (const connection of [...this.#hub.all()]) connection.onLogicLost(link);
    this.#hub.handover.lost(link);
    this.#rebindAll();
    if (link.hasLeft) return;
    this.#mustAnnounce = true;
    this.#announceAfterLoss();
  }

  /** A logic is there: what nobody was told is told now, and sessions without a logic get one. */
  onAttached(link: LogicLink): void {
    this.#hub.announceClosed(link);
    this.#hub.handover.retell();
    this.#rebindAll();
    this.#announceAfterLoss();
  }

  /**
   * The lost logic may have given a slot to a newer login and died before it kicked the older session. Saying all
   * sessions again finds those that lost their slot.
   */
  #announceAfterLoss(): void {
    const logic = this.#mustAnnounce ? this.#hub.logics.choose() : undefined;
    if (!logic) return;
    this.#mustAnnounce = false;
    this.#announceAll(logic);
  }

  #onLoginOk(link: LogicLink, record: UplinkRecord, connection: Connection | undefined): void {
    if (connection?.state.kind !== "login") {
      // The client left meanwhile: the route that was just made must go.
      link.sendControl({ kind: RecordKind.CLOSED, conn: record.conn });
      return;
    }
    connection.onLoginOk(LoginReply.decode(record.body));
    this.#onLogin(connection);
  }

  #onUnreachable(link: LogicLink, record: UplinkRecord, connection: Connection | undefined): void {
    this.#hub.stats.unreachable++;
    const userId = connection?.session?.userId ?? this.#hub.closedUser(record.conn);
    link.send({ kind: RecordKind.UNREACHABLE, conn: record.conn, aux: record.aux, body: Buffer.from(userId) });
  }

  #announceAll(link: LogicPort): void {
    this.#log.info({ logic: link.name, sessions: this.#hub.sessions }, "announcing all sessions again");
    this.#announcer.announceAll();
  }

  /** Binds the sessions that have no logic, so that revocations and kicks find them. */
  #rebindAll(): void {
    this.#mustRebindAgain = this.#isRebinding;
    if (this.#isRebinding) return;
    this.#isRebinding = true;
    this.#eachInPortions(
      (connection) => connection.rebind(),
      () => {
        this.#isRebinding = false;
        if (this.#mustRebindAgain) this.#rebindAll();
      },
    );
  }

  /** Visits every connection, some per turn of the event loop. */
  #eachInPortions(visit: (connection: Connection) => void, done: () => void): void {
    const connections = [...this.#hub.all()];
    let at = 0;
    const step = (): void => {
      const end = Math.min(connections.length, at + PORTION);
      for (; at < end; at++) visit(connections[at] as Connection);
      if (at < connections.length) setImmediate(step);
      else done();
    };
    step();
  }
}
