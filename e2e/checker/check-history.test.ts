// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkHistory, MAX_VIOLATIONS_PER_CHECK } from "./check-history.ts";
import type { FinalState } from "./history.ts";
import {
  at,
  bobs,
  conversation,
  isFound,
  isReceive,
  isSend,
  PLANTED,
  PLANTED_OPTIONS,
  type Planted,
} from "./planted.ts";
import { BROADCASTS_PLANTED } from "./planted-broadcast.ts";
import { CHAT_PLANTED, chat } from "./planted-chat.ts";
import { sampleHistory } from "./sample-history.ts";
import { CHECKS } from "./violation.ts";

/** Beyond the 26 of planted.ts. */
const MORE: Planted[] = [
  {
    check: "C1",
    kind: "not shown",
    name: "a device that was never shown anything",
    plant: (s) => s.final.devices.push({ uid: "user1", device: "new phone" }),
  },
  {
    check: "C2",
    kind: "two places",
    name: "two rows for one client message id",
    plant: (s) => void s.final.stored.push({ ...at(s.final.stored, 0), seq: 9, messageId: "m_other" }),
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
    plant: (s) => void s.events.push({ ...at(s.events.filter(isSend("ok")), 0), cmid: "ghost" }),
  },
  {
    check: "C13",
    kind: "no route",
    name: "a session nobody can reach",
    plant: (s) => {
      const sessions = [{ uid: "user1", slot: "mobile", session: "pod.1/1" }];
      s.final.healed = { healedAtMs: 0, readAtMs: 9, backlog: [], routes: [], sessions };
    },
  },
];

describe("checkHistory", () => {
  it("accepts a correct history and counts it", () => {
    const { events, final } = conversation();
    const { violations, counts } = checkHistory(events, final, PLANTED_OPTIONS);
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

  for (const planted of [...PLANTED, ...MORE]) {
    it(`${planted.check} finds: ${planted.name}`, () => assert.ok(isFound(planted)));
  }

  it("accepts a correct history of changes and of a group, and counts them", () => {
    const { events, final } = chat();
    const { violations, counts } = checkHistory(events, final);
    assert.deepEqual(violations, []);
    const { edits, recalls, groups, groupChanges } = counts;
    assert.deepEqual({ edits, recalls, groups, groupChanges }, { edits: 2, recalls: 1, groups: 1, groupChanges: 2 });
  });

  for (const planted of CHAT_PLANTED) {
    it(`${planted.check} finds: ${planted.name}`, () => assert.ok(isFound(planted, chat)));
  }

  it("does not expect who left a group to know of later edits", () => {
    const left = sampleHistory(3, [
      { do: "group", what: "send", user: 0 },
      { do: "group", what: "join", user: 1 },
      { do: "group", what: "send", user: 0 },
      { do: "group", what: "leave", user: 1 },
      { do: "change", message: 1, kind: "edit", outcome: "ok" },
      { do: "change", message: 0, kind: "recall", outcome: "info-stored" },
    ]);
    assert.deepEqual(checkHistory(left.events, left.final).violations, []);
  });

  it("has two planted anomalies per check", () => {
    assert.equal(PLANTED.length, 2 * CHECKS.length - 2);
    const all = [...PLANTED, ...BROADCASTS_PLANTED];
    for (const check of CHECKS) assert.ok(all.filter((planted) => planted.check === check).length >= 2, check);
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
