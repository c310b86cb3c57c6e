// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { silentLogger } from "#lib/logger.ts";
import { Disconnect } from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import type { Session } from "../session/session.ts";
import { EpochWatch } from "./epoch-watch.ts";

describe("epoch watch", () => {
  it("tells every session to reconnect when the epoch changed, once, and stops", () => {
    const clock = new FakeClock();
    const store = { epoch: "e1" };
    const sent: RecordInput[] = [];
    const entry = { incarnation: "pod.1", send: (record: RecordInput) => sent.push(record) > 0 };
    const sessions = new Map([1, 2].map((conn) => [conn, { entry, conn } as Session]));
    const watch = new EpochWatch({ store, clock, entries: [{ sessions }], log: silentLogger });
    clock.advance(5000);
    assert.equal(sent.length, 0);
    store.epoch = "e2";
    clock.advance(500);
    clock.advance(5000);
    assert.deepEqual(
      sent.map(({ kind, conn, body }) => [kind, conn, Disconnect.decode(body ?? assert.fail()).code]),
      [
        [RecordKind.KICK, 1, DisconnectCode.INBOX_RESET],
        [RecordKind.KICK, 2, DisconnectCode.INBOX_RESET],
      ],
    );
    watch.stop();
    assert.equal(clock.pending, 0);
  });
});
