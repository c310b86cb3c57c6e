// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkHistory, MAX_VIOLATIONS_PER_CHECK } from "./check-history.ts";
import type { FinalState, HistoryEvent, ReceiveEvent, SendEvent } from "./history.ts";
import { type Sample, sampleHistory } from "./sample-history.ts";
import { CHECKS, type Check } from "./violation.ts";

/** Three messages alice -> bob, one back, all shown; every index below is into this history. */
function conversation(): Sample {
  return sampleHistory(2, [
    { do: "send", from: 0, to: 0, outcome: "ok", resends: 0 },
    { do: "send", from: 0, to: 0, outcome: "ok", resends: 1 },
    { do: "show", device: 2, count: 1 },
    { do: "send", from: 1, to: 0, outcome: "ok", resends: 0 },
    { do: "send", from: 0, to: 0, outcome: "fail", resends: 0 },
    { do: "send", from: 0, to: 0, outcome: "info-stored", resends: 0 },
    { do: "send", from: 0, to: 0, outcome: "info-lost", resends: 0 },
  ]);
}

const isReceive = (event: HistoryEvent): event is ReceiveEvent => event.op === "receive";
const isSend =
  (kind: SendEvent["kind"]) =>
  (event: HistoryEvent): event is SendEvent =>
    event.op === "send" && event.kind === kind;

function first<T extends HistoryEvent>(events: HistoryEvent[], is: (event: HistoryEvent) => event is T): T {
  const found = events.find(is);
  assert.ok(found);
  return found;
}

/** What bob's first device is shown. */
function bobs(sample: Sample): ReceiveEvent[] {
  return sample.events.filter(
    (event) => isReceive(event) && event.uid === "user1" && event.device === "device0",
  ) as ReceiveEvent[];
}

function at<T>(items: readonly T[], index: number): T {
  const item = items.at(index);
  assert.ok(item !== undefined);
  return item;
}

interface Planted {
  check: Check;
  kind: string;
  name: string;
  plant: (sample: Sample) => void;
}

const PLANTED: Planted[] = [
  {
    check: "C1",
    kind: "not shown",
    name: "the last message never reaches one of two devices",
    plant: (s) =>
      s.events.splice(
        s.events.indexOf(
          at(
            bobs(s).filter((e) => e.cmid === "cmid1"),
            0,
          ),
        ),
        1,
      ),
  },
  {
    check: "C1",
    kind: "not shown",
    name: "a device that was never shown anything",
    plant: (s) => s.final.devices.push({ uid: "user1", device: "new phone" }),
  },
  { check: "C1", kind: "not stored", name: "the row is gone", plant: (s) => void s.final.stored.shift() },
  {
    check: "C2",
    kind: "shown twice",
    name: "the same event again",
    plant: (s) => void s.events.push({ ...at(bobs(s), -1) }),
  },
  {
    check: "C2",
    kind: "two places",
    name: "a resend got a second position",
    plant: (s) => {
      const ack = s.events.filter(isSend("ok")).find((e) => e.cmid === "cmid1");
      assert.ok(ack);
      s.events.push({ ...ack, seq: 9, messageId: "m_other" });
    },
  },
  {
    check: "C2",
    kind: "two places",
    name: "two rows for one client message id",
    plant: (s) => void s.final.stored.push({ ...at(s.final.stored, 0), seq: 9, messageId: "m_other" }),
  },
  {
    check: "C3",
    kind: "order",
    name: "two messages shown in the wrong order",
    plant: (s) => {
      const [a, b] = [at(bobs(s), 0), at(bobs(s), 1)];
      const [i, j] = [s.events.indexOf(a), s.events.indexOf(b)];
      s.events[i] = { ...b, atMs: a.atMs };
      s.events[j] = { ...a, atMs: b.atMs };
    },
  },
  {
    check: "C3",
    kind: "gap",
    name: "a hole below a later message",
    plant: (s) => s.events.splice(s.events.indexOf(at(bobs(s), 1)), 1),
  },
  {
    check: "C3",
    kind: "inbox order",
    name: "inbox positions that fall",
    plant: (s) => {
      at(bobs(s), 1).inboxSeq = 1;
    },
  },
  {
    check: "C4",
    kind: "body",
    name: "two devices see another body at one position",
    plant: (s) => {
      at(bobs(s), 0).bodyHash = "other";
    },
  },
  {
    check: "C4",
    kind: "message",
    name: "the store has another message at a position than the devices",
    plant: (s) => {
      const [a, b] = [at(s.final.stored, 0), at(s.final.stored, 1)];
      [a.seq, b.seq] = [b.seq, a.seq];
    },
  },
  {
    check: "C5",
    kind: "never sent",
    name: "a message out of nothing",
    plant: (s) => void s.events.push({ ...at(bobs(s), -1), cmid: "ghost", messageId: "m_ghost", seq: 5, inboxSeq: 5 }),
  },
  {
    check: "C5",
    kind: "failed",
    name: "a send that failed is stored after all",
    plant: (s) => {
      const failed = first(s.events, isSend("fail"));
      s.final.stored.push({
        ...at(s.final.stored, 0),
        seq: 5,
        messageId: "m_5",
        cmid: failed.cmid,
        bodyHash: failed.bodyHash,
      });
    },
  },
  {
    check: "C5",
    kind: "altered",
    name: "a body that changed on the way",
    plant: (s) => {
      at(bobs(s), 0).bodyHash = "other";
    },
  },
  {
    check: "C5",
    kind: "not a member",
    name: "a message shown to a stranger",
    plant: (s) => void s.events.push({ ...at(bobs(s), 0), uid: "mallory" }),
  },
  {
    check: "C5",
    kind: "never sent",
    name: "an answer to nothing",
    plant: (s) => void s.events.push({ ...first(s.events, isSend("ok")), cmid: "ghost" }),
  },
  {
    check: "C6",
    kind: "inverted",
    name: "acknowledged first, placed last",
    plant: (s) => {
      const invoke = s.events.filter(isSend("invoke")).find((e) => e.cmid === "cmid0");
      assert.ok(invoke);
      invoke.atMs = 1_000_000;
      for (const ack of s.events.filter(isSend("ok"))) if (ack.cmid === "cmid0") ack.atMs = 1_000_001;
    },
  },
  {
    check: "C6",
    kind: "inverted",
    name: "an unacknowledged send that began later lies before an acknowledged one",
    plant: (s) => {
      const [a, b] = [at(s.final.stored, 0), at(s.final.stored, 3)];
      const positions = new Map([
        [a.cmid, b.seq],
        [b.cmid, a.seq],
      ]);
      for (const item of [...s.events, ...s.final.stored])
        if ("cmid" in item && "seq" in item) item.seq = positions.get(item.cmid) ?? item.seq;
    },
  },
];

describe("checkHistory", () => {
  it("accepts a correct history and counts it", () => {
    const { events, final } = conversation();
    const { violations, counts } = checkHistory(events, final);
    assert.deepEqual(violations, []);
    assert.equal(counts.sends, 6);
    assert.equal(counts.acked, 3);
    assert.equal(counts.failed, 1);
    assert.equal(counts.unknown, 2);
    assert.equal(counts.stored, 4);
    // user0: 1 on device0, 4 on device1; user1: 3 on device0, 4 on device1
    assert.equal(counts.shown, 12);
  });

  it("accepts an empty history", () => {
    assert.deepEqual(checkHistory([], { devices: [] }).violations, []);
  });

  for (const { check, kind, name, plant } of PLANTED) {
    it(`${check} finds: ${name}`, () => {
      const sample = conversation();
      plant(sample);
      const { violations, counts } = checkHistory(sample.events, sample.final);
      const found = violations.filter((violation) => violation.check === check && violation.kind === kind);
      assert.ok(found.length > 0, `found only ${JSON.stringify(violations)}`);
      assert.ok(counts.violations[check] > 0);
    });
  }

  it("has at least two planted anomalies per check", () => {
    for (const check of CHECKS) assert.ok(PLANTED.filter((p) => p.check === check).length >= 2, check);
  });

  it("does not accuse a device that did not pull to the head", () => {
    const { events, final } = conversation();
    const late: FinalState = { stored: final.stored, devices: final.devices.filter((d) => d.device === "device1") };
    const kept = events.filter((event) => !(isReceive(event) && event.uid === "user1" && event.device === "device0"));
    assert.deepEqual(checkHistory(kept, late).violations, []);
  });

  it("lists a bounded number of violations and counts all", () => {
    const sample = conversation();
    const last = at(bobs(sample), -1);
    for (let i = 0; i < 500; i++) sample.events.push({ ...last });
    const { violations, counts } = checkHistory(sample.events, sample.final);
    assert.equal(violations.filter((v) => v.check === "C2").length, MAX_VIOLATIONS_PER_CHECK);
    assert.equal(counts.violations.C2, 500);
  });
});
