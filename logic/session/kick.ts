// SPDX-License-Identifier: Apache-2.0
import { DisconnectCode } from "#lib/codes.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { Route } from "../router/router.ts";
import { disconnectBody, type EntryDirectory, type Session } from "./session.ts";

/**
 * Tells the session that lost its slot to leave: SUPERSEDED for the same device, KICKED for another. Its entry is
 * attached to this process as to every logic; if it is not (gone, or just started), the route is replaced anyway
 * and the old connection can receive nothing more.
 */
export function kickReplaced(entries: EntryDirectory, by: Session, replaced: Route): DisconnectCode {
  const isSameDevice = replaced.deviceId === by.deviceId;
  const code = isSameDevice ? DisconnectCode.SUPERSEDED : DisconnectCode.KICKED;
  const reason = isSameDevice
    ? "this device has logged in on a newer connection: use that one"
    : "another device took this slot: log in again only when the person asks for it";
  entries.find(replaced.incarnation)?.send({
    kind: RecordKind.KICK,
    conn: replaced.conn,
    body: disconnectBody(code, reason, { byDevice: by.deviceName }),
  });
  return code;
}
