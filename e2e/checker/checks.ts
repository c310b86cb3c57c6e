// SPDX-License-Identifier: Apache-2.0
import { type DeviceView, deviceKey, type IndexedHistory, positionKey, type Send, sendKey } from "./index-history.ts";
import type { Check, Violation } from "./violation.ts";

/** Takes one violation; the checks never stop at the first. */
export type Report = (violation: Violation) => void;

function reporter(check: Check, report: Report): (kind: string, message: string) => void {
  return (kind, message) => report({ check, kind, message });
}

const show = (send: { uid: string; cmid: string }): string => `${send.cmid} of ${send.uid}`;
const showDevice = (view: DeviceView): string => `${view.uid}/${view.device}`;

/**
 * C1: an acknowledged send is in the final set of every settled device of its recipient, and in the store when that
 * was read. O(n).
 */
export function checkLost(index: IndexedHistory, report: Report): void {
  const violate = reporter("C1", report);
  const settledByUser = new Map<string, { view: DeviceView; has: Set<string> }[]>();
  for (const key of index.settled) {
    const view = index.devices.get(key);
    if (!view) continue;
    const devices = settledByUser.get(view.uid) ?? [];
    devices.push({ view, has: new Set(view.shown.map((event) => sendKey(event.sender, event.cmid))) });
    settledByUser.set(view.uid, devices);
  }
  const storedKeys = index.stored && new Set(index.stored.map((row) => sendKey(row.sender, row.cmid)));
  for (const [key, send] of index.sends) {
    if (send.acks.length === 0) continue;
    for (const { view, has } of settledByUser.get(send.to) ?? [])
      if (!has.has(key)) violate("not shown", `${show(send)} was acknowledged and never reached ${showDevice(view)}`);
    if (storedKeys && !storedKeys.has(key)) violate("not stored", `${show(send)} was acknowledged and is not stored`);
  }
}

/** C2: no device is shown a message twice; one client message id is one message at one position. O(n). */
export function checkDuplicate(index: IndexedHistory, report: Report): void {
  const violate = reporter("C2", report);
  for (const view of index.devices.values()) {
    const seen = new Set<string>();
    for (const event of view.shown) {
      const key = sendKey(event.sender, event.cmid);
      if (seen.has(key)) violate("shown twice", `${event.cmid} of ${event.sender} twice on ${showDevice(view)}`);
      seen.add(key);
    }
  }
  const places = new Map<string, string>();
  const place = (uid: string, cmid: string, at: { conv: string; seq: number; messageId: string }): void => {
    const key = sendKey(uid, cmid);
    const here = `${at.messageId} at ${at.conv}:${at.seq}`;
    const known = places.get(key);
    if (known === undefined) places.set(key, here);
    else if (known !== here) violate("two places", `${cmid} of ${uid} is ${known} and also ${here}`);
  };
  for (const send of index.sends.values()) for (const ack of send.acks) place(send.uid, send.cmid, ack);
  for (const row of index.stored ?? []) place(row.sender, row.cmid, row);
  for (const view of index.devices.values()) for (const event of view.shown) place(event.sender, event.cmid, event);
}

/**
 * C3: what a device shows of others rises in every conversation and in the inbox; together with what the device sent
 * itself, the positions of a conversation have no hole. A device's own messages count at any time, because their place
 * is known only with the acknowledgement. O(n).
 */
export function checkOrder(index: IndexedHistory, report: Report): void {
  const violate = reporter("C3", report);
  const own = ownPositions(index);
  for (const [key, view] of index.devices) {
    const conversations = new Map<string, { last: number; seqs: Set<number> }>();
    let lastInboxSeq = 0;
    for (const event of view.shown) {
      const conversation = conversations.get(event.conv) ?? { last: 0, seqs: new Set<number>() };
      conversations.set(event.conv, conversation);
      if (event.sender !== view.uid) {
        if (event.seq <= conversation.last)
          violate("order", `${showDevice(view)} saw ${event.conv}:${event.seq} after ${conversation.last}`);
        if (event.inboxSeq <= lastInboxSeq)
          violate("inbox order", `${showDevice(view)} saw inbox seq ${event.inboxSeq} after ${lastInboxSeq}`);
        conversation.last = event.seq;
        lastInboxSeq = event.inboxSeq;
      }
      conversation.seqs.add(event.seq);
    }
    for (const [conv, conversation] of conversations) {
      const gap = firstGap(conversation.seqs, own.get(key)?.get(conv));
      if (gap !== undefined) violate("gap", `${showDevice(view)} has no ${conv}:${gap} but later ones`);
    }
  }
}

/**
 * device key -> conversation -> positions that the device itself sent. A send whose outcome it never learned counts too
 * when its position is known from elsewhere: the application has the message, it wrote it.
 */
function ownPositions(index: IndexedHistory): Map<string, Map<string, Set<number>>> {
  const positions = new Map<string, Map<string, Set<number>>>();
  for (const [key, at] of knownPositions(index)) {
    const send = index.sends.get(key);
    if (!send) continue;
    const device = deviceKey(send.uid, send.device);
    const conversations = positions.get(device) ?? new Map<string, Set<number>>();
    positions.set(device, conversations);
    const seqs = conversations.get(at.conv) ?? new Set<number>();
    conversations.set(at.conv, seqs.add(at.seq));
  }
  return positions;
}

/** send key -> position, by the acknowledgement if there is one, else by the store, else by any device. */
function knownPositions(index: IndexedHistory): Map<string, { conv: string; seq: number }> {
  const known = new Map<string, { conv: string; seq: number }>();
  for (const view of index.devices.values())
    for (const event of view.shown) known.set(sendKey(event.sender, event.cmid), event);
  for (const row of index.stored ?? []) known.set(sendKey(row.sender, row.cmid), row);
  for (const [key, send] of index.sends) if (send.acks[0]) known.set(key, send.acks[0]);
  return known;
}

/** The lowest missing position below the highest one of `shown`. */
function firstGap(shown: ReadonlySet<number>, own: ReadonlySet<number> | undefined): number | undefined {
  let highest = 0;
  for (const seq of shown) highest = Math.max(highest, seq);
  for (let seq = 1; seq < highest; seq++) if (!shown.has(seq) && !own?.has(seq)) return seq;
  return undefined;
}

/** C4: acknowledgements, devices and the store agree on what is at (conversation, position). O(n). */
export function checkDivergent(index: IndexedHistory, report: Report): void {
  const violate = reporter("C4", report);
  const contents = new Map<string, { bodyHash: string; messageId: string; source: string }>();
  const compare = (conv: string, seq: number, bodyHash: string, messageId: string, source: string): void => {
    const key = positionKey(conv, seq);
    const known = contents.get(key);
    if (!known) contents.set(key, { bodyHash, messageId, source });
    else if (known.bodyHash !== bodyHash || known.messageId !== messageId)
      violate(
        known.messageId === messageId ? "body" : "message",
        `${conv}:${seq} is ${known.messageId} (${known.bodyHash}) for ${known.source}, ${messageId} (${bodyHash}) for ${source}`,
      );
  };
  for (const row of index.stored ?? []) compare(row.conv, row.seq, row.bodyHash, row.messageId, "the store");
  for (const send of index.sends.values())
    for (const ack of send.acks)
      compare(ack.conv, ack.seq, send.bodyHash, ack.messageId, `sender ${send.uid}/${send.device}`);
  for (const view of index.devices.values())
    for (const event of view.shown) compare(event.conv, event.seq, event.bodyHash, event.messageId, showDevice(view));
}

/** C5: whatever is shown or stored was sent, as it is, by that sender, to that person, and its send did not fail. O(n). */
export function checkUnexpected(index: IndexedHistory, report: Report): void {
  const violate = reporter("C5", report);
  const examine = (uid: string, cmid: string, bodyHash: string, where: string): Send | undefined => {
    const send = index.sends.get(sendKey(uid, cmid));
    if (!send) violate("never sent", `${cmid} of ${uid} is ${where} and was never sent`);
    else if (send.hasFailed) violate("failed", `${show(send)} is ${where}, though its send failed`);
    else if (send.bodyHash !== bodyHash) violate("altered", `${show(send)} is ${where} with another body`);
    return send;
  };
  for (const view of index.devices.values()) {
    for (const event of view.shown) {
      const send = examine(event.sender, event.cmid, event.bodyHash, `on ${showDevice(view)}`);
      if (send && view.uid !== send.to && view.uid !== send.uid)
        violate("not a member", `${show(send)} for ${send.to} was shown to ${view.uid}`);
    }
  }
  for (const row of index.stored ?? []) examine(row.sender, row.cmid, row.bodyHash, "stored");
  for (const ack of index.orphanAcks)
    if (ack.op === "send") violate("never sent", `${show(ack)} was answered (${ack.kind}) and never sent`);
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
  const known = knownPositions(index);
  const conversations = new Map<string, Step[]>();
  for (const [key, send] of index.sends) {
    const at = known.get(key);
    if (!at) continue;
    const steps = conversations.get(at.conv) ?? [];
    conversations.set(at.conv, steps);
    steps.push({ send, seq: at.seq, atMs: send.invokedAtMs, isAck: false });
    if (send.ackedAtMs !== undefined) steps.push({ send, seq: at.seq, atMs: send.ackedAtMs, isAck: true });
  }
  return conversations;
}
