// SPDX-License-Identifier: Apache-2.0
import type { DeviceAck } from "./store.ts";

/** One per device, in an order that every process keeps, so that two batches do not deadlock. Ids contain no NUL. */
export function highestAcks(acks: readonly DeviceAck[]): DeviceAck[] {
  const byDevice = new Map<string, DeviceAck>();
  for (const ack of acks) {
    const key = `${ack.userId}\0${ack.deviceId}`;
    const known = byDevice.get(key);
    if (!known || known.inboxSeq < ack.inboxSeq) byDevice.set(key, ack);
  }
  return [...byDevice].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, ack]) => ack);
}
