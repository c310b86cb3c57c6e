// SPDX-License-Identifier: Apache-2.0
import type { LocatedDevice } from "#proto/gen/messages.ts";
import { type Cell, count, type Paint, span } from "../text.ts";

/** Names of entry pods by their UID. */
export type PodNames = ReadonlyMap<string, string>;

export const DEVICE_HEADINGS = ["DEVICE", "PLATFORM", "STATE", "ENTRY", ">CONN", ">ACKED"];

/** A row of a table of devices. @param head of the inbox: what is behind it is marked */
export function deviceRow(device: LocatedDevice, head: number, pods: PodNames, nowMs: number, paint: Paint): Cell[] {
  const { deviceId, platform, online, lastSeenMs, ackedSeq } = device;
  const seen = lastSeenMs > 0 ? `${span(nowMs - lastSeenMs)} ago` : "never";
  const acked = `${count(ackedSeq)}/${count(head)}`;
  return [
    deviceId,
    platform,
    online ? { text: "online", paint: paint.good } : `seen ${seen}`,
    online ? entryOf(device, pods) : "",
    online ? String(device.conn) : "",
    ackedSeq < head ? { text: acked, paint: paint.warn } : acked,
  ];
}

/** The pod, or the incarnation of one that is gone or could not be listed. */
export function entryOf({ incarnation }: LocatedDevice, pods: PodNames): string {
  const uid = incarnation.slice(0, Math.max(0, incarnation.lastIndexOf(".")));
  return pods.get(uid) ?? incarnation;
}
