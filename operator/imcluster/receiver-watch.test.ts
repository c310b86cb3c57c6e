// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogicStatusReply } from "#proto/gen/messages.ts";
import { type EntryProbe, type ObservedEntry, observeEntry } from "./observed.ts";
import { ReceiverWatch } from "./receiver-watch.ts";

type Figures = Pick<EntryProbe, "logins" | "loginsFailed" | "loginP99Ms">;

function entry(
  uid: string,
  logins: Figures | undefined,
  annotations: Record<string, string> = {},
  atMs = 0,
): ObservedEntry {
  const pod = { metadata: { name: uid, uid, annotations }, spec: { containers: [], nodeName: "n" } };
  const probe = {
    connections: 1,
    sessions: 1,
    cordoned: false,
    draining: false,
    atMs,
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

  it("adds up what happened since the last look, and takes the slowest that has enough logins", () => {
    const watch = new ReceiverWatch();
    watch.read([entry("a", figures(100, 1, 900)), entry("b", figures(0, 0, 0))], logic({}), 0);
    const now = [entry("a", figures(130, 2, 40)), entry("b", figures(10, 5, 70)), entry("new", figures(500, 0, 999))];
    const { logins, failed, loginP99Ms } = watch.read(now, logic({}), 1_000) ?? {};
    assert.deepEqual([logins, failed, loginP99Ms], [40, 6, 40], "one that is new has no past, one had only ten");
  });

  it("ignores old percentiles, long gaps, and counters that began anew", () => {
    const watch = new ReceiverWatch();
    const quiet = () => watch.read([entry("a", figures(100, 0, 900))], logic({}), 0);
    quiet();
    assert.equal(watch.read([entry("a", figures(100, 0, 900))], logic({}), 1_000)?.loginP99Ms, 0, "no login since");
    assert.equal(watch.read([entry("a", figures(5, 0, 900))], logic({}), 2_000)?.logins, 0, "started again");
    assert.equal(watch.read([entry("a", figures(900, 0, 900))], logic({}), 60_000)?.logins, 0, "a minute ago");
  });

  const after = (...each: [logins: number, p99Ms: number][]) => {
    const watch = new ReceiverWatch();
    const entries = (at: (index: number) => Figures) => each.map((_, index) => entry(`e${index}`, at(index)));
    watch.read(
      entries(() => figures(100, 0, 0)),
      logic({}),
      0,
    );
    const now = entries((index) => figures(100 + (each[index]?.[0] ?? 0), 0, each[index]?.[1] ?? 0));
    return watch.read(now, logic({}), 1_000)?.loginP99Ms;
  };

  it("weighs percentiles by the number of logins", () => {
    assert.equal(after([1, 9_000], [200, 40]), 40, "one slow login is no percentile");
    assert.equal(after([20, 9_000], [200, 40]), 9_000);
    assert.equal(after([8, 900], [8, 800], [8, 700], [100, 40]), 700, "several small ones speak together");
    assert.equal(after([8, 900], [8, 800]), 0, "too few altogether");
  });

  it("knows how many logins are refused while nobody is asked to move", () => {
    const watch = new ReceiverWatch();
    const rest = (atMs: number, failedA: number, failedB: number) =>
      watch.rest([entry("a", figures(0, failedA, 0), {}, atMs), entry("b", figures(0, failedB, 0), {}, atMs)], atMs);
    const usual = (atMs: number) => {
      watch.read([entry("a", figures(0, 0, 0))], logic({}), atMs - 2_000);
      return watch.read([entry("a", figures(0, 0, 0))], logic({}), atMs)?.usualFailed;
    };
    rest(0, 500, 7);
    for (let atMs = 5_000; atMs <= 60_000; atMs += 5_000) rest(atMs, 500 + atMs / 500, 7 + atMs / 1_000);
    assert.equal(usual(62_000), 6, "2 and 1 a second, in two seconds");
    rest(70_000, 9_000, 9_000);
    rest(75_000, 19_000, 19_000);
    assert.equal(usual(80_000), 6, "those of the drain are not learned");
    rest(120_000, 0, 0);
    rest(120_000, 90, 90);
    rest(125_000, 5, 5);
    assert.equal(usual(130_000), 4, "another process counts anew");
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
