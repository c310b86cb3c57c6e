// SPDX-License-Identifier: Apache-2.0
import type { FinalState, HistoryEvent, ReceiveEvent, StoredMessage } from "./history.ts";

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
  acks: Ack[];
  hasFailed: boolean;
}

export interface Ack {
  conv: string;
  seq: number;
  messageId: string;
}

/** A device and what its application was shown, in order. */
export interface DeviceView {
  uid: string;
  device: string;
  shown: ReceiveEvent[];
}

/** A history, grouped once for all checks: O(n). */
export interface IndexedHistory {
  /** By {@link sendKey}. Acknowledgements without an invoke are in `orphanAcks`. */
  sends: Map<string, Send>;
  orphanAcks: HistoryEvent[];
  /** By {@link deviceKey}. */
  devices: Map<string, DeviceView>;
  /** Keys of `devices` that pulled to the head at the end. */
  settled: Set<string>;
  stored: StoredMessage[] | undefined;
}

export const sendKey = (uid: string, cmid: string): string => `${uid}\0${cmid}`;
export const deviceKey = (uid: string, device: string): string => `${uid}\0${device}`;
export const positionKey = (conv: string, seq: number): string => `${conv}\0${seq}`;

/** Groups a history by send and by device. Events may come from several recorders in any order per process. */
export function indexHistory(events: readonly HistoryEvent[], final: FinalState): IndexedHistory {
  const index: IndexedHistory = {
    sends: new Map(),
    orphanAcks: [],
    devices: new Map(),
    settled: new Set(),
    stored: final.stored,
  };
  for (const { uid, device } of final.devices) {
    const key = deviceKey(uid, device);
    index.settled.add(key);
    index.devices.set(key, { uid, device, shown: [] });
  }
  for (const event of events) if (event.op === "send" && event.kind === "invoke") addInvoke(index, event);
  for (const event of events) {
    if (event.op === "send") addOutcome(index, event);
    else if (event.op === "receive") addReceive(index, event);
  }
  return index;
}

function addInvoke(index: IndexedHistory, event: HistoryEvent & { op: "send" }): void {
  const key = sendKey(event.uid, event.cmid);
  if (index.sends.has(key)) return;
  const { uid, device, cmid, to, bodyHash } = event;
  const send = { uid, device, cmid, to, bodyHash, invokedAtMs: event.atMs, acks: [], hasFailed: false };
  index.sends.set(key, { ...send, ackedAtMs: undefined });
}

function addOutcome(index: IndexedHistory, event: HistoryEvent & { op: "send" }): void {
  if (event.kind === "invoke" || event.kind === "info") return;
  const send = index.sends.get(sendKey(event.uid, event.cmid));
  if (!send) {
    index.orphanAcks.push(event);
    return;
  }
  if (event.kind === "fail") {
    send.hasFailed = true;
    return;
  }
  send.ackedAtMs = Math.min(send.ackedAtMs ?? event.atMs, event.atMs);
  send.acks.push({ conv: event.conv ?? "", seq: event.seq ?? 0, messageId: event.messageId ?? "" });
}

function addReceive(index: IndexedHistory, event: ReceiveEvent): void {
  const key = deviceKey(event.uid, event.device);
  const view = index.devices.get(key);
  if (view) view.shown.push(event);
  else index.devices.set(key, { uid: event.uid, device: event.device, shown: [event] });
}
