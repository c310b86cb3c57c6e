// SPDX-License-Identifier: Apache-2.0
import { showDevice } from "./checks.ts";
import { getOrMake } from "./get-or-make.ts";
import type { GroupFact, StoredMessage } from "./history.ts";
import type { DeviceView, IndexedHistory } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

type Violate = (kind: string, message: string) => void;

/** Who is in a group at one position of it. */
interface Members {
  version: number;
  roles: Map<string, string>;
}

/** By user, then group: positions of what the user is to have. */
type Due = Map<string, Map<string, Set<number>>>;

/**
 * C10: who is a member of a group is told by the messages in it, so at each position everybody knows who may have it and who
 * may write it. Settled devices have been shown exactly the messages of their user's memberships, the event of a joining and of a
 * removal included; no message is by anybody else; and every change was allowed to who made it. Needs the store's rows.
 * O(n), n the receipts that there should be.
 */
export function checkGroups(index: IndexedHistory, report: Report): void {
  const violate = reporter("C10", report);
  const groups = rowsOfGroups(index);
  if (groups.size === 0) return;
  const due: Due = new Map();
  for (const [conv, rows] of groups) walk(conv, rows, due, violate);
  const sent = sentByDevice(index, groups);
  for (const view of index.devices) compare(view, groups, { due, sent }, violate);
}

function rowsOfGroups(index: IndexedHistory): Map<string, StoredMessage[]> {
  const groups = new Map<string, StoredMessage[]>();
  for (const { row } of index.stored ?? []) if (row.group) groups.set(row.conv, []);
  for (const { row } of index.stored ?? []) groups.get(row.conv)?.push(row);
  for (const rows of groups.values()) rows.sort((a, b) => a.seq - b.seq);
  return groups;
}

function walk(conv: string, rows: readonly StoredMessage[], due: Due, violate: Violate): void {
  let members: Members = { version: 0, roles: new Map() };
  for (const row of rows) {
    const before = members;
    if (row.group) members = changed(before, row, row.group, violate);
    else if (!before.roles.has(row.sender))
      violate("accepted", `${row.cmid} of ${row.sender} is stored at ${conv}:${row.seq}, where they are no member`);
    for (const uid of new Set([...before.roles.keys(), ...members.roles.keys()])) {
      const ofUser = getOrMake<string, Map<string, Set<number>>>(due, uid, () => new Map());
      getOrMake<string, Set<number>>(ofUser, conv, () => new Set()).add(row.seq);
    }
  }
}

/** The members after a change. */
function changed(before: Members, row: StoredMessage, fact: GroupFact, violate: Violate): Members {
  const where = `${fact.kind} by ${row.sender} at ${row.conv}:${row.seq}`;
  if (fact.version !== before.version + 1)
    violate("version", `${where} makes version ${fact.version} of version ${before.version}`);
  if (!isAllowed(before, row.sender, fact)) violate("not allowed", `${where} is not theirs to do`);
  const roles = new Map(before.roles);
  switch (fact.kind) {
    case "created":
      roles.set(row.sender, "owner");
      for (const uid of fact.users) roles.set(uid, "member");
      break;
    case "invited":
      for (const uid of fact.users) roles.set(uid, "member");
      break;
    case "removed":
    case "left":
      for (const uid of fact.users) roles.delete(uid);
      break;
    case "role":
      for (const uid of fact.users) roles.set(uid, fact.role ?? "");
      if (fact.role === "owner") roles.set(row.sender, "admin");
      break;
    default:
  }
  if (roles.size !== fact.members) violate("members", `${where} leaves ${fact.members}, and ${roles.size} are known`);
  return { version: fact.version, roles };
}

/** What a role may do, in the words of docs/protocol.md. */
function isAllowed({ version, roles }: Members, actor: string, { kind, users }: GroupFact): boolean {
  const role = roles.get(actor);
  const isLeader = role === "owner" || role === "admin";
  switch (kind) {
    case "created":
      return version === 0;
    case "invited":
    case "renamed":
      return isLeader;
    case "removed":
      return isLeader && users.every((uid) => role === "owner" || roles.get(uid) === "member");
    case "left":
      return role !== undefined && users.length === 1 && users[0] === actor && (role !== "owner" || roles.size === 1);
    case "role":
      return role === "owner";
    default:
      return false;
  }
}

/** Positions that a device wrote itself: nobody tells it of these, but of changes. */
type Sent = Map<string, Set<string>>;

function sentByDevice(index: IndexedHistory, groups: ReadonlyMap<string, unknown>): Sent {
  const sent: Sent = new Map();
  for (const ofSender of index.items.values())
    for (const { send, place } of ofSender.values())
      if (send?.bodyHash !== undefined && !send.isSilent && place && groups.has(place.conv))
        getOrMake<string, Set<string>>(sent, showDevice(send), () => new Set()).add(`${place.conv}:${place.seq}`);
  return sent;
}

function compare(
  view: DeviceView,
  groups: ReadonlyMap<string, unknown>,
  { due, sent }: { due: Due; sent: Sent },
  violate: Violate,
): void {
  const mine = due.get(view.uid);
  const shown = new Map<string, Set<number>>();
  for (const { conv, seq } of view.shown) {
    if (!groups.has(conv)) continue;
    getOrMake<string, Set<number>>(shown, conv, () => new Set()).add(seq);
    if (!mine?.get(conv)?.has(seq))
      violate("delivered", `${conv}:${seq} was shown to ${showDevice(view)}, and ${view.uid} was no member then`);
  }
  if (!view.isSettled) return;
  const own = sent.get(showDevice(view));
  for (const [conv, seqs] of mine ?? [])
    for (const seq of seqs)
      if (!shown.get(conv)?.has(seq) && !own?.has(`${conv}:${seq}`))
        violate("missed", `${conv}:${seq} never reached ${showDevice(view)}, whose user is a member`);
}
