// SPDX-License-Identifier: Apache-2.0
import { getOrMake } from "./get-or-make.ts";
import type {
  ChangeEvent,
  FinalState,
  GroupEvent,
  HistoryEvent,
  ReceiveEvent,
  SendEvent,
  StoredMessage,
  ViewEvent,
} from "./history.ts";

/** Where a message is, as somebody saw it. */
export interface Place {
  conv: string;
  seq: number;
  /** Empty where whoever told of the place does not know it. */
  messageId: string;
}

/** Everything known about one (sender, client message id): a message, or a change, which is stored as one. */
export interface Send {
  uid: string;
  device: string;
  cmid: string;
  to: string;
  /** Undefined when the server writes the body. */
  bodyHash: string | undefined;
  /** Nobody is pushed to. */
  isSilent: boolean;
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

/** A change that was asked for. */
export interface Change {
  event: ChangeEvent;
  send: Send;
}

/** A history, grouped once for all checks: O(n), no text is built per event. */
export interface IndexedHistory {
  /** By sender, then client message id. */
  items: Map<string, Map<string, Item>>;
  sends: Send[];
  /** Items that were sent, by recipient. */
  sentTo: Map<string, Item[]>;
  /** Outcomes of sends that were never invoked. */
  orphans: Outcome[];
  /** In the order of the history. */
  changes: Change[];
  /** Messages that devices showed in another way, in the order of the history. */
  views: ViewEvent[];
  devices: DeviceView[];
  stored: { row: StoredMessage; item: Item }[] | undefined;
  /** Every other event, in the order of the history. */
  others: Exclude<HistoryEvent, Written | ReceiveEvent | ViewEvent>[];
}

/** Whatever is stored as a message. */
type Written = SendEvent | ChangeEvent | GroupEvent;
type Outcome = Pick<Written, "uid" | "cmid" | "kind">;

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
    changes: [],
    views: [],
    devices: [],
    stored: undefined,
    others: [],
  };
  for (const event of events) if (isWritten(event) && event.kind === "invoke") addInvoke(index, event);
  const views = new Map<string, Map<string, DeviceView>>();
  for (const { uid, device } of final.devices) viewOf(index, views, uid, device).isSettled = true;
  for (const event of events) {
    if (isWritten(event)) addOutcome(index, event);
    else if (event.op === "receive") {
      const view = viewOf(index, views, event.uid, event.device);
      view.shown.push(event);
      const item = itemOf(index, event.sender, event.cmid);
      view.items.push(item);
      if (item.send?.to === event.uid) {
        item.shownAtMs = Math.min(item.shownAtMs, event.atMs);
        item.inboxSeq = event.inboxSeq;
      }
    } else if (event.op === "view") index.views.push(event);
    else index.others.push(event);
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

function isWritten(event: HistoryEvent): event is Written {
  return event.op === "send" || event.op === "change" || event.op === "group";
}

function addInvoke(index: IndexedHistory, event: Written): void {
  const item = itemOf(index, event.uid, event.cmid);
  if (item.send) return;
  const { uid, device, cmid } = event;
  const to = event.op === "group" ? `#${event.conv}` : event.to;
  const bodyHash = event.op === "group" ? undefined : event.bodyHash;
  const base = { uid, device, cmid, to, bodyHash, isSilent: event.op === "change", invokedAtMs: event.atMs };
  item.send = { ...base, ackedAtMs: undefined, acks: [], hasFailed: false };
  index.sends.push(item.send);
  if (event.op === "change") index.changes.push({ event, send: item.send });
  const sent = index.sentTo.get(to);
  if (sent) sent.push(item);
  else index.sentTo.set(to, [item]);
}

function addOutcome(index: IndexedHistory, event: Written): void {
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
  const place = placeOf(event);
  if (place) send.acks.push(place);
}

/** Undefined: nothing was to be changed, and nothing was stored. */
function placeOf(event: Written): Place | undefined {
  const conv = event.conv ?? "";
  if (event.op === "send") return { conv, seq: event.seq ?? 0, messageId: event.messageId ?? "" };
  const seq = (event.op === "change" ? event.eventSeq : event.seq) ?? 0;
  return seq === 0 ? undefined : { conv, seq, messageId: "" };
}

function place(index: IndexedHistory): void {
  for (const ofSender of index.items.values())
    for (const item of ofSender.values()) item.place = item.send?.acks.find(({ messageId }) => messageId !== "");
  for (const { row, item } of index.stored ?? []) item.place ??= row;
  for (const view of index.devices)
    for (const [at, event] of view.shown.entries()) (view.items[at] as Item).place ??= event;
  for (const { send } of index.changes) itemOf(index, send.uid, send.cmid).place ??= send.acks[0];
}
