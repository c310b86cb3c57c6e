// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HistoryEvent } from "../checker/history.ts";
import { countPulled } from "./pulled.ts";

const at = (atMs: number, process = "client:x") => ({ seed: "s", process, atMs });
const away = (uid: string, atMs: number): HistoryEvent => ({
  ...{ ...at(atMs), op: "fault", kind: "info", what: `${uid} goes offline` },
});
const back = (uid: string, atMs: number, device = "phone"): HistoryEvent => ({
  ...{ ...at(atMs), op: "session", kind: "open", uid, device, slot: "mobile", sid: `${atMs}` },
});
const acked = (cmid: string, atMs: number): HistoryEvent => ({
  ...{ ...at(atMs), op: "send", kind: "ok", uid: "ann", device: "phone", cmid, to: "bob", bodyHash: "" },
});
const shown = (cmid: string, atMs: number, device = "phone"): HistoryEvent => ({
  ...{ ...at(atMs), op: "receive", kind: "ok", uid: "bob", device, conv: "c", seq: 1, inboxSeq: 1, messageId: cmid },
  ...{ sender: "ann", cmid, bodyHash: "" },
});

describe("the count of pulled messages", () => {
  it("has those that came during the absence and were shown after it, on that device", () => {
    const events = [
      ...[acked("before", 5), away("bob", 10), acked("during", 15), acked("again", 16), back("bob", 20)],
      ...[shown("before", 21), shown("during", 22), shown("during", 23, "audit"), shown("again", 24)],
      ...[acked("after", 30), shown("after", 31)],
    ];
    assert.equal(countPulled(events), 2);
  });

  it("is 0 without an absence, and without a message in it", () => {
    assert.equal(countPulled([acked("m", 1), shown("m", 2)]), 0);
    assert.equal(countPulled([away("bob", 1), back("bob", 2), acked("m", 3), shown("m", 4)]), 0);
  });

  it("knows one absence from the next, and whose it is", () => {
    const events = [
      ...[away("bob", 1), back("ann", 2), acked("one", 3), back("bob", 4), shown("one", 5)],
      ...[acked("between", 6), shown("between", 7), away("bob", 8), acked("two", 9), back("bob", 10), shown("two", 11)],
    ];
    assert.equal(countPulled(events), 2);
  });
});
