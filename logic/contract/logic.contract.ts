// SPDX-License-Identifier: Apache-2.0
import { describe } from "node:test";
import { broadcastNews, broadcastPages, broadcasts } from "./broadcasts.ts";
import { contactLists, reading, typists } from "./conversations.ts";
import { devices, logouts, presence } from "./devices.ts";
import { groupChanges, groupSecrecy, groups } from "./groups.ts";
import { kicks, revocation, slots, tokens } from "./identity.ts";
import type { LogicHarness } from "./kit.ts";
import { inboxes, refusals, resending, sending } from "./messages.ts";
import { peerPresence, peerSubscriptions } from "./peer-presence.ts";
import { histories, snapshots } from "./reading.ts";
import { fencing, routing, sessions } from "./sessions.ts";

/** The behaviour of logic towards its entries, run on memory ports and on real PostgreSQL and Redis. */
export function logicContract(name: string, get: () => LogicHarness): void {
  describe(`logic contract: ${name}`, () => {
    sending(get);
    resending(get);
    refusals(get);
    inboxes(get);
    histories(get);
    snapshots(get);
    sessions(get);
    routing(get);
    fencing(get);
    revocation(get);
    tokens(get);
    slots(get);
    kicks(get);
    devices(get);
    logouts(get);
    presence(get);
    peerPresence(get);
    peerSubscriptions(get);
    reading(get);
    contactLists(get);
    typists(get);
    groups(get);
    groupChanges(get);
    groupSecrecy(get);
    broadcasts(get);
    broadcastPages(get);
    broadcastNews(get);
  });
}
