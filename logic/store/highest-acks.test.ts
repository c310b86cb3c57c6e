// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { highestAcks } from "./highest-acks.ts";
import type { DeviceAck } from "./store.ts";

const ack = (userId: string, deviceId: string, inboxSeq: number): DeviceAck => ({ userId, deviceId, inboxSeq });

describe("highest acknowledgements", () => {
  it("are one per device", () => {
    const acks = [ack("bob", "phone", 5), ack("bob", "phone", 7), ack("bob", "browser", 1), ack("bob", "phone", 6)];
    assert.deepEqual(highestAcks(acks), [ack("bob", "browser", 1), ack("bob", "phone", 7)]);
  });

  it("come in the same order whatever the order of the calls: rows are locked in it", () => {
    const acks = ["b", "a", "a#", "aa", "ä", "A"].flatMap((userId) => ["x", "d", ""].map((id) => ack(userId, id, 1)));
    const ordered = highestAcks(acks);
    assert.equal(ordered.length, 18);
    for (let turn = 1; turn < acks.length; turn++) {
      const turned = [...acks.slice(turn), ...acks.slice(0, turn)];
      assert.deepEqual(highestAcks(turned), ordered);
      assert.deepEqual(highestAcks(turned.toReversed()), ordered);
    }
    assert.deepEqual(
      [...new Set(ordered.map(({ userId }) => userId))],
      ["A", "a", "a#", "aa", "b", "ä"],
      "a user's devices are together",
    );
  });

  it("of nothing are none", () => {
    assert.deepEqual(highestAcks([]), []);
  });
});
