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
    forClients(get);
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
  });
}

/** What clients see of each other: the same in every tenant. */
function forClients(get: () => LogicHarness): void {
  sending(get);
  resending(get);
  refusals(get);
  inboxes(get);
  histories(get);
  snapshots(get);
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
}

/** Clients with tokens of a tenant: they write the ids that they wrote without one, and read no other. */
export function tenantContract(name: string, get: () => LogicHarness): void {
  describe(`logic contract for a tenant's clients: ${name}`, () => {
    forClients(get);
  });
}
