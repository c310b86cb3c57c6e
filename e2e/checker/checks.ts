// SPDX-License-Identifier: Apache-2.0
import { getOrMake } from "./get-or-make.ts";
import type { DeviceView, IndexedHistory, Item, Place, Send } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

const show = (send: { uid: string; cmid: string }): string => `${send.cmid} of ${send.uid}`;
export const showDevice = (view: { uid: string; device: string }): string => `${view.uid}/${view.device}`;
const showPlace = (at: Place): string => `${at.messageId} at ${at.conv}:${at.seq}`;

function forgetMarks(index: IndexedHistory): void {
  for (const ofSender of index.items.values()) for (const item of ofSender.values()) item.mark = -1;
}

/**
 * C1: an acknowledged send is in the final set of every settled device of its recipient, and in the store when that
 * was read. O(n).
 */
export function checkLost(index: IndexedHistory, report: Report): void {
  const violate = reporter("C1", report);
  forgetMarks(index);
  for (const [number, view] of index.devices.entries()) {
    if (!view.isSettled) continue;
    for (const item of view.items) item.mark = number;
    for (const item of index.sentTo.get(view.uid) ?? [])
      if (item.send && item.send.acks.length > 0 && item.mark !== number)
        violate("not shown", `${show(item)} was acknowledged and never reached ${showDevice(view)}`);
  }
  if (!index.stored) return;
  const stored = new Set(index.stored.map(({ item }) => item));
  for (const sent of index.sentTo.values())
    for (const item of sent)
      if (item.send && item.send.acks.length > 0 && !stored.has(item))
        violate("not stored", `${show(item)} was acknowledged and is not stored`);
}

/** C2: no device is shown a message twice; one client message id is one message at one position. O(n). */
export function checkDuplicate(index: IndexedHistory, report: Report): void {
  const violate = reporter("C2", report);
  forgetMarks(index);
  const examine = (item: Item, at: Place): void => {
    const known = item.place;
    if (!known || known === at) return;
    const isSameId = at.messageId === "" || known.messageId === at.messageId;
    if (known.seq !== at.seq || !isSameId || known.conv !== at.conv)
      violate("two places", `${show(item)} is ${showPlace(known)} and also ${showPlace(at)}`);
  };
  for (const [number, view] of index.devices.entries()) {
    for (const [at, event] of view.shown.entries()) {
      const item = view.items[at] as Item;
      if (item.mark === number) violate("shown twice", `${show(item)} twice on ${showDevice(view)}`);
      item.mark = number;
      examine(item, event);
    }
  }
  for (const sent of index.sentTo.values())
    for (const item of sent) for (const ack of item.send?.acks ?? []) examine(item, ack);
  for (const { row, item } of index.stored ?? []) examine(item, row);
}

/** Positions of one conversation on one device. */
interface Seen {
  last: number;
  highest: number;
  seqs: number[];
}

/**
 * C3: what a device shows of others rises in every conversation and in the inbox; together with what the device sent
 * itself, the positions of a conversation have no hole. A device's own messages count at any time, because their place
 * is known only with the acknowledgement. O(n).
 */
export function checkOrder(index: IndexedHistory, report: Report): void {
  const violate = reporter("C3", report);
  const groups = groupsOf(index);
  const own = ownPositions(index);
  for (const view of index.devices) {
    const conversations = new Map<string, Seen>();
    let lastInboxSeq = 0;
    for (const event of view.shown) {
      const seen = getOrMake(conversations, event.conv, () => ({ last: 0, highest: 0, seqs: [] }));
      if (event.sender !== view.uid) {
        if (event.seq <= seen.last)
          violate("order", `${showDevice(view)} saw ${event.conv}:${event.seq} after ${seen.last}`);
        if (event.inboxSeq <= lastInboxSeq)
          violate("inbox order", `${showDevice(view)} saw inbox seq ${event.inboxSeq} after ${lastInboxSeq}`);
        seen.last = event.seq;
        lastInboxSeq = event.inboxSeq;
      }
      seen.highest = Math.max(seen.highest, event.seq);
      seen.seqs.push(event.seq);
    }
    // Whoever joins a group late, or twice, has holes: C10 knows which.
    for (const [conv, seen] of [...conversations].filter(([id]) => !groups.has(id))) {
      const gap = firstGap(seen, own.get(view.uid)?.get(view.device)?.get(conv));
      if (gap !== undefined) violate("gap", `${showDevice(view)} has no ${conv}:${gap} but later ones`);
    }
  }
}

/** Conversations whose members change by messages. */
export function groupsOf(index: IndexedHistory): Set<string> {
  const groups = new Set<string>();
  for (const { row } of index.stored ?? []) if (row.group) groups.add(row.conv);
  return groups;
}

type Positions = Map<string, number[]>;

/**
 * user -> device -> conversation -> positions that the device itself sent. A send whose outcome it never learned counts
 * too when its position is known from elsewhere: the application has the message, it wrote it.
 */
function ownPositions(index: IndexedHistory): Map<string, Map<string, Positions>> {
  const positions = new Map<string, Map<string, Positions>>();
  for (const [uid, ofSender] of index.items) {
    const devices = new Map<string, Positions>();
    positions.set(uid, devices);
    for (const { send, place } of ofSender.values()) {
      // A device is told of its own changes, too.
      if (!send || !place || send.isSilent) continue;
      const conversations = getOrMake(devices, send.device, () => new Map());
      getOrMake(conversations, place.conv, () => []).push(place.seq);
    }
  }
  return positions;
}

/** The lowest missing position below the highest one shown. */
function firstGap({ seqs, highest }: Seen, own: readonly number[] | undefined): number | undefined {
  const has = new Uint8Array(highest + 1);
  let count = 0;
  for (const list of [seqs, own ?? []]) {
    for (const seq of list) {
      if (seq > highest || seq < 1 || has[seq] === 1) continue;
      has[seq] = 1;
      count++;
    }
  }
  return count === highest ? undefined : has.indexOf(0, 1);
}

/** What is at one position: `source` said so. */
interface Content {
  at: Place;
  bodyHash: string;
  source: string | { uid: string; device: string };
}

/** C4: acknowledgements, devices and the store agree on what was sent to (conversation, position). O(n). */
export function checkDivergent(index: IndexedHistory, report: Report): void {
  const violate = reporter("C4", report);
  const contents = new Map<string, Content[]>();
  const compare = (at: Place, bodyHash: string, source: Content["source"]): void => {
    const ofConversation = getOrMake<string, Content[]>(contents, at.conv, () => []);
    const known = ofConversation[at.seq];
    if (!known) {
      ofConversation[at.seq] = { at, bodyHash, source };
      return;
    }
    if (known.bodyHash === bodyHash && known.at.messageId === at.messageId) return;
    const name = (one: Content["source"]): string => (typeof one === "string" ? one : showDevice(one));
    violate(
      known.at.messageId === at.messageId ? "body" : "message",
      `${at.conv}:${at.seq} is ${known.at.messageId} (${known.bodyHash}) for ${name(known.source)}, ${at.messageId} (${bodyHash}) for ${name(source)}`,
    );
  };
  for (const { row } of index.stored ?? []) if (isAsSent(row)) compare(row, row.bodyHash, "the store");
  for (const { acks, bodyHash, ...send } of index.sends)
    for (const ack of acks) if (ack.messageId !== "" && bodyHash !== undefined) compare(ack, bodyHash, send);
  for (const view of index.devices)
    for (const event of view.shown) if (isAsSent(event)) compare(event, event.bodyHash, view);
}

/** Not changed since: what changes are about is for check-changes.ts. */
function isAsSent({ version = 1 }: { version?: number }): boolean {
  return version === 1;
}

/** C5: whatever is shown or stored was sent, as it is, by that sender, to that person, and its send did not fail. O(n). */
export function checkUnexpected(index: IndexedHistory, report: Report): void {
  const violate = reporter("C5", report);
  const examine = (
    { send, ...item }: Item,
    what: { bodyHash: string; version?: number },
    where: () => string,
  ): void => {
    if (!send) violate("never sent", `${show(item)} is ${where()} and was never sent`);
    else if (send.hasFailed) violate("failed", `${show(send)} is ${where()}, though its send failed`);
    else if (send.bodyHash !== undefined && isAsSent(what) && send.bodyHash !== what.bodyHash)
      violate("altered", `${show(send)} is ${where()} with another body`);
  };
  for (const view of index.devices) {
    const where = (): string => `on ${showDevice(view)}`;
    for (const [at, event] of view.shown.entries()) {
      const item = view.items[at] as Item;
      examine(item, event, where);
      if (item.send && !isMember(view, item.send))
        violate("not a member", `${show(item)} for ${item.send.to} was shown to ${view.uid}`);
    }
  }
  for (const { row, item } of index.stored ?? []) examine(item, row, () => "stored");
  for (const orphan of index.orphans)
    violate("never sent", `${show(orphan)} was answered (${orphan.kind}) and never sent`);
}

function isMember(view: DeviceView, send: Send): boolean {
  return view.uid === send.to || view.uid === send.uid || send.to.startsWith("#");
}

/** C6: a send that was acknowledged before another one of its conversation began has the lower position. O(n log n). */
export function checkRealTime(index: IndexedHistory, report: Report): void {
  const violate = reporter("C6", report);
  for (const steps of stepsByConversation(index).values()) {
    // At equal times the invocation comes first: only a strictly earlier acknowledgement orders the two.
    steps.sort((a, b) => a.atMs - b.atMs || Number(a.isAck) - Number(b.isAck));
    let highest: Step | undefined;
    for (const step of steps) {
      if (step.isAck) {
        if (!highest || step.seq > highest.seq) highest = step;
      } else if (highest && highest.seq > step.seq) {
        violate(
          "inverted",
          `${show(highest.send)} got seq ${highest.seq} before ${show(step.send)} began, which got ${step.seq}`,
        );
      }
    }
  }
}

interface Step {
  send: Send;
  seq: number;
  atMs: number;
  isAck: boolean;
}

function stepsByConversation(index: IndexedHistory): Map<string, Step[]> {
  const conversations = new Map<string, Step[]>();
  for (const sent of index.sentTo.values()) {
    for (const { send, place } of sent) {
      if (!send || !place) continue;
      const steps = getOrMake(conversations, place.conv, () => []);
      steps.push({ send, seq: place.seq, atMs: send.invokedAtMs, isAck: false });
      if (send.ackedAtMs !== undefined) steps.push({ send, seq: place.seq, atMs: send.ackedAtMs, isAck: true });
    }
  }
  return conversations;
}
