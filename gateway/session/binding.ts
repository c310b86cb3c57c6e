// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { RecordKind } from "#proto/uplink/record.ts";
import type { Hub } from "./hub.ts";
import type { ConnectionState, Session } from "./session.ts";
import type { LogicDirectory, LogicPort } from "./uplink-port.ts";

// Which logic a session talks to. It stays with one while that lives and owes it answers, so that its SENDs are
// committed in the order they were sent.

/** Body of BIND. */
export function tagBytes(tag: string): Uint8Array {
  return Buffer.from(tag, "latin1");
}

function assign(session: Session, logic: LogicPort): void {
  if (session.logic) session.logic.load--;
  session.logic = logic;
  logic.load++;
}

/**
 * The logic to send the next command to; binds another one when the old one was lost, or leaves and owes nothing.
 * Undefined when no logic is attached.
 */
export function bindSession(logics: LogicDirectory, conn: number, session: Session): LogicPort | undefined {
  const current = session.logic;
  if (current && (current.isUsable || session.inFlight > 0)) return current;
  const next = logics.choose();
  if (!next) return current;
  assign(session, next);
  next.sendControl({ kind: RecordKind.BIND, conn, body: tagBytes(session.tag) });
  return next;
}

/** Announces the session again, because the router forgot: to its own logic, or else to the one that asks. */
export function announceSession(conn: number, session: Session, asking: LogicPort): void {
  if (!session.logic) assign(session, asking);
  session.logic?.sendControl({ kind: RecordKind.BIND, conn, body: tagBytes(session.tag) });
}

/** Sends CLOSED where the session is bound, if need be by binding it once more; returns who was told, if anybody. */
function announceSessionClosed(logics: LogicDirectory, conn: number, session: Session): LogicPort | undefined {
  const logic = session.logic ?? bindSession(logics, conn, session);
  if (!logic) return undefined;
  logic.sendControl({ kind: RecordKind.CLOSED, conn });
  logic.load--;
  session.logic = undefined;
  return logic;
}

/** Tells logic, now or once there is one again, that a connection is gone. `state`: what it was until then. */
export function leaveLogic(hub: Hub, conn: number, state: ConnectionState): void {
  if (state.kind === "login") {
    state.login.logic.load--;
    hub.handover.closed(conn, state.login.logic);
  }
  if (state.kind !== "open" && state.kind !== "draining") return;
  const { session } = state;
  session.roundTrip.forget(hub.logics, conn);
  const told = announceSessionClosed(hub.logics, conn, session);
  if (told) hub.handover.closed(conn, told);
  else hub.rememberClosed(conn, session.tag);
}
