// SPDX-License-Identifier: Apache-2.0
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { EnvelopeReader } from "../wire/envelope.ts";
import { bindSession } from "./binding.ts";
import type { EntryTraces } from "./entry-traces.ts";
import type { Hub } from "./hub.ts";
import type { Session } from "./session.ts";
import type { LogicPort } from "./uplink-port.ts";

/** Requests of one connection that logic has not answered. */
const MAX_IN_FLIGHT = 1024;
/** When to try again what could not be taken. */
export const BUSY_RETRY_MS = 200;

/** Why a command was not taken; the client may try again. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly retryAfterMs: number;
}

/** What it needs of {@link Hub}. */
export type ForwardHub = Pick<Hub, "clock" | "limits" | "logics" | "stats" | "traces">;

/** Hands a command to the logic of its session as it is. Undefined: it is on its way. */
export function forwardCommand(
  hub: ForwardHub,
  conn: number,
  session: Session,
  envelope: EnvelopeReader,
): Refusal | undefined {
  const { cmd, rid, flags, body } = envelope;
  const { clock, limits, logics, stats, traces } = hub;
  if (cmd === Command.SEND) {
    const waitMs = limits.messages?.take(session.userId, clock.nowMs()) ?? 0;
    if (waitMs > 0) {
      stats.messagesLimited++;
      return { code: ErrorCode.RATE_LIMITED, reason: "too many messages: slow down", retryAfterMs: waitMs };
    }
  }
  const logic = bindSession(logics, conn, session);
  if (!logic) {
    if (cmd === Command.SEND) stats.sendsFailed.retryable++;
    return refusal(ErrorCode.RETRYABLE, "no logic is reachable: try again");
  }
  const isTooMany = session.inFlight >= MAX_IN_FLIGHT;
  if (traces && !isTooMany) announce(traces, logic, conn, envelope);
  if (isTooMany || !logic.send({ kind: RecordKind.COMMAND, cmd, flags: flags & 0xffff, conn, rid, body })) {
    stats.rejectedBusy++;
    if (cmd === Command.SEND) stats.sendsFailed.busy++;
    traces?.answered(conn, rid, Command.ERROR);
    return refusal(ErrorCode.BUSY, isTooMany ? "too many requests without an answer" : "the server is busy");
  }
  stats.commands++;
  if (cmd === Command.SEND) stats.answers.sent(conn, rid, clock);
  if (rid !== 0) session.inFlight++;
  if (cmd === Command.PUSH_ACK && session.owesAck) {
    session.owesAck = false;
    stats.acks.end(conn, 0, clock);
  }
  return undefined;
}

/** Says in front of a record that it is traced, where it is. */
function announce(traces: EntryTraces, logic: LogicPort, conn: number, { cmd, rid, body }: EnvelopeReader): void {
  if (cmd === Command.SEND) traces.begin(logic, conn, rid, body.length);
  else if (cmd === Command.PUSH_ACK) traces.acknowledging(logic, conn, rid);
}

function refusal(code: ErrorCode, reason: string): Refusal {
  return { code, reason, retryAfterMs: BUSY_RETRY_MS };
}
