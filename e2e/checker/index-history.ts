// SPDX-License-Identifier: Apache-2.0
import { getOrMake } from "./get-or-make.ts";
import type { FinalState, HistoryEvent, ReceiveEvent, SendEvent, StoredMessage } from "./history.ts";

/** Where a message is, as somebody saw it. */
export interface Place {
  conv: string;
  seq: number;
  messageId: string;
}

/** Everything known about one (sender, client message id). */
export interface Send {
  uid: string;
  device: string;
  cmid: string;
  to: string;
  bodyHash: string;
  invokedAtMs: number;
  /** First acknowledgement, if any. */
  ackedAtMs: number | undefined;
  acks: Place[];
  hasFailed: boolean;
}

/** One (sender, client message id) that anybody named. */
export interface Item {
  uid: string;
  cmid: string;
  /** Undefined when it was never invoked. */
  send: Send | undefined;
  /** Position by the acknowledgement if there is one, else by the store, else by the first device. */
  place: Place | undefined;
  /** When a device of its recipient was first shown it, and where in the recipient's inbox; Infinity and 0 if never. */
  shownAtMs: number;
  inboxSeq: number;
  /** Scratch of the checks: number of the last device that was seen to have it. */
  mark: number;
}

/** A device and what its application was shown, in order; `items[i]` is the message of `shown[i]`. */
export interface DeviceView {
  uid: string;
  device: string;
  isSettled: boolean;
  shown: ReceiveEvent[];
  items: Item[];
}

/** A history, grouped once for all checks: O(n), no text is built per event. */
export interface IndexedHistory {
  /** By sender, then client message id. */
  items: Map<string, Map<string, Item>>;
  sends: Send[];
  /** Items that were sent, by recipient. */
  sentTo: Map<string, Item[]>;
  /** Outcomes of sends that were never invoked. */
  orphans: SendEvent[];
  devices: DeviceView[];
  stored: { row: StoredMessage; item: Item }[] | undefined;
  /** Every other event, in the order of the history. */
  others: Exclude<HistoryEvent, SendEvent | ReceiveEvent>[];
}

/** The item of (sender, client message id), made when it is new. */
export function itemOf(index: Pick<IndexedHistory, "items">, uid: string, cmid: string): Item {
  const ofSender = getOrMake(index.items, uid, () => new Map());
  return getOrMake<string, Item>(ofSender, cmid, () => ({
    uid,
    cmid,
    send: undefined,
    place: undefined,
    shownAtMs: Number.POSITIVE_INFINITY,
    inboxSeq: 0,
    mark: -1,
  }));
}

/** Groups a history by send and by device. Events may come from several recorders in any order per process. */
export function indexHistory(events: readonly HistoryEvent[], final: FinalState): IndexedHistory {
  const index: IndexedHistory = {
    items: new Map(),
    sends: [],
    sentTo: new Map(),
    orphans: [],
    devices: [],
    stored: undefined,
    others: [],
  };
  for (const event of events) if (event.op === "send" && event.kind === "invoke") addInvoke(index, event);
  const views = new Map<string, Map<string, DeviceView>>();
  for (const { uid, device } of final.devices) viewOf(index, views, uid, device).isSettled = true;
  for (const event of events) {
    if (event.op === "send") addOutcome(index, event);
    else if (event.op === "receive") {
      const view = viewOf(index, views, event.uid, event.device);
      view.shown.push(event);
      const item = itemOf(index, event.sender, event.cmid);
      view.items.push(item);
      if (item.send?.to === event.uid) {
        item.shownAtMs = Math.min(item.shownAtMs, event.atMs);
        item.inboxSeq = event.inboxSeq;
      }
    } else index.others.push(event);
  }
  index.stored = final.stored?.map((row) => ({ row, item: itemOf(index, row.sender, row.cmid) }));
  place(index);
  return index;
}

function viewOf(
  index: IndexedHistory,
  views: Map<string, Map<string, DeviceView>>,
  uid: string,
  device: string,
): DeviceView {
  const ofUser = getOrMake(views, uid, () => new Map());
  let view = ofUser.get(device);
  if (!view) {
    view = { uid, device, isSettled: false, shown: [], items: [] };
    ofUser.set(device, view);
    index.devices.push(view);
  }
  return view;
}

function addInvoke(index: IndexedHistory, event: SendEvent): void {
  const item = itemOf(index, event.uid, event.cmid);
  if (item.send) return;
  const { uid, device, cmid, to, bodyHash } = event;
  const base = { uid, device, cmid, to, bodyHash, invokedAtMs: event.atMs };
  item.send = { ...base, ackedAtMs: undefined, acks: [], hasFailed: false };
  index.sends.push(item.send);
  const sent = index.sentTo.get(to);
  if (sent) sent.push(item);
  else index.sentTo.set(to, [item]);
}

function addOutcome(index: IndexedHistory, event: SendEvent): void {
  if (event.kind === "invoke" || event.kind === "info") return;
  const { send } = itemOf(index, event.uid, event.cmid);
  if (!send) {
    index.orphans.push(event);
    return;
  }
  if (event.kind === "fail") {
    send.hasFailed = true;
    return;
  }
  send.ackedAtMs = Math.min(send.ackedAtMs ?? event.atMs, event.atMs);
  send.acks.push({ conv: event.conv ?? "", seq: event.seq ?? 0, messageId: event.messageId ?? "" });
}

function place(index: IndexedHistory): void {
  for (const ofSender of index.items.values()) for (const item of ofSender.values()) item.place = item.send?.acks[0];
  for (const { row, item } of index.stored ?? []) item.place ??= row;
  for (const view of index.devices)
    for (const [at, event] of view.shown.entries()) (view.items[at] as Item).place ??= event;
}
