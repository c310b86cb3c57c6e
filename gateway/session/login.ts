// SPDX-License-Identifier: Apache-2.0
import { DisconnectCode } from "#lib/codes.ts";
import { LoginRequest } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { EnvelopeReader } from "../wire/envelope.ts";
import type { Carrier } from "./carrier.ts";
import { UNCOUNTED_LOGIN } from "./client-limits.ts";
import type { Hub } from "./hub.ts";
import type { PendingLogin } from "./session.ts";

/** Why no login began: the connection ends with it. */
export interface LoginRefusal {
  readonly code: number;
  readonly reason: string;
  /** When to come again, ms; 0 = the client's choice. */
  readonly waitMs: number;
}

/** What it needs of {@link Hub}. */
export type LoginHub = Pick<Hub, "clock" | "limits" | "logics" | "metrics">;

/** Hands HELLO to a logic as it is, unless the address has tried too often. */
export function beginLogin(
  hub: LoginHub,
  conn: number,
  carrier: Carrier,
  hello: EnvelopeReader,
): PendingLogin | LoginRefusal {
  const { remoteAddress, listener } = carrier;
  const startedMs = hub.clock.nowMs();
  const attempt = hub.limits.tries?.beginLogin(remoteAddress, startedMs) ?? UNCOUNTED_LOGIN;
  if (typeof attempt === "number") {
    hub.metrics.refused("failed_logins");
    const reason = "too many logins from this address failed, or are under way";
    return { code: DisconnectCode.RATE_LIMITED, reason, waitMs: attempt };
  }
  const logic = hub.logics.choose();
  const { rid } = hello;
  const body = LoginRequest.encode({ hello: hello.body, remoteAddress, listener });
  if (!logic?.send({ kind: RecordKind.LOGIN, conn, rid, body })) {
    attempt.end(false, startedMs);
    return logic
      ? { code: DisconnectCode.OVERLOADED, reason: "too many logins at once", waitMs: 0 }
      : { code: DisconnectCode.LOGIC_UNAVAILABLE, reason: "no logic is reachable: try again", waitMs: 0 };
  }
  logic.load++;
  return { rid, logic, attempt, startedMs, held: [], heldBytes: 0, hasDropped: false };
}
