// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogicStatusReply } from "#proto/gen/messages.ts";
import { type EntryProbe, type ObservedEntry, observeEntry } from "./observed.ts";
import { ReceiverWatch } from "./receiver-watch.ts";

type Figures = Pick<EntryProbe, "logins" | "loginsFailed" | "loginP99Ms">;

function entry(uid: string, logins: Figures | undefined, annotations: Record<string, string> = {}): ObservedEntry {
  const pod = { metadata: { name: uid, uid, annotations }, spec: { containers: [], nodeName: "n" } };
  const probe = {
    connections: 1,
    sessions: 1,
    cordoned: false,
    draining: false,
    atMs: 0,
    ...logins,
  };
  return observeEntry(pod, { ownerUid: "o", probe, isPurged: false, nowMs: 0 });
}
const logic = (replies: Record<string, LogicStatusReply>) => new Map(Object.entries(replies));
const figures = (logins: number, loginsFailed: number, loginP99Ms: number): Figures => ({
  ...{ logins, loginsFailed, loginP99Ms },
});

describe("ReceiverWatch", () => {
  it("says nothing when nobody answered", () => {
    assert.equal(new ReceiverWatch().read([], logic({}), 0), undefined);
    assert.equal(new ReceiverWatch().read([entry("a", undefined)], logic({}), 0), undefined);
  });

  it("adds up what happened since the last look, and takes the slowest", () => {
    const watch = new ReceiverWatch();
    watch.read([entry("a", figures(100, 1, 900)), entry("b", figures(0, 0, 0))], logic({}), 0);
    const now = [entry("a", figures(130, 2, 40)), entry("b", figures(10, 5, 70)), entry("new", figures(500, 0, 999))];
    const { logins, failed, loginP99Ms } = watch.read(now, logic({}), 1_000) ?? {};
    assert.deepEqual([logins, failed, loginP99Ms], [40, 6, 70], "one that is new has no past");
  });

  it("ignores old percentiles, long gaps, and counters that began anew", () => {
    const watch = new ReceiverWatch();
    const quiet = () => watch.read([entry("a", figures(100, 0, 900))], logic({}), 0);
    quiet();
    assert.equal(watch.read([entry("a", figures(100, 0, 900))], logic({}), 1_000)?.loginP99Ms, 0, "no login since");
    assert.equal(watch.read([entry("a", figures(5, 0, 900))], logic({}), 2_000)?.logins, 0, "started again");
    assert.equal(watch.read([entry("a", figures(900, 0, 900))], logic({}), 60_000)?.logins, 0, "a minute ago");
  });

  it("says when no logic answers", () => {
    const watch = new ReceiverWatch();
    assert.equal(watch.read([entry("a", figures(1, 0, 1))], logic({}), 0)?.isPartial, true);
    const answer = logic({ a: { ackTimeouts: 0, uptimeMs: 1_000 } });
    assert.equal(watch.read([entry("a", figures(1, 0, 1))], answer, 1_000)?.isPartial, false);
  });

  it("does not look at entries that are being drained themselves", () => {
    const times = { startedAt: "2026-01-01T00:00:00Z", deadline: "2026-01-01T00:00:00Z" };
    const intent = JSON.stringify({ id: "d", reason: "Update", phase: "Draining", ...times });
    const draining = entry("a", figures(1, 1, 1), { "imcluster.io/drain": intent });
    assert.equal(new ReceiverWatch().read([draining], logic({}), 0), undefined);
  });

  it("compares late acknowledgements a second with the mean since logic began", () => {
    const watch = new ReceiverWatch();
    watch.read([], logic({ a: { ackTimeouts: 100, uptimeMs: 98_000 } }), 0);
    const replies = { a: { ackTimeouts: 200, uptimeMs: 100_000 }, b: { ackTimeouts: 9, uptimeMs: 1_000 } };
    const found = watch.read([], logic(replies), 2_000);
    assert.deepEqual([found?.ackTimeoutsPerSecond, found?.usualAckTimeoutsPerSecond], [50, 2]);
  });
});
