// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HistoryEvent } from "../checker/history.ts";
import { type LoggedPush, parsePushLog, pushFigures } from "./pushes.ts";

const base = { seed: "t", process: "t" };

function session(kind: "open" | "close", atMs: number, sid = "s1"): HistoryEvent {
  return { ...base, op: "session", kind, atMs, uid: "bob", device: "phone", slot: "mobile", sid };
}

function acked(messageId: string, atMs: number): HistoryEvent {
  const send = { uid: "alice", device: "phone", cmid: `c-${messageId}`, to: "bob", bodyHash: "h", conv: "c", seq: 1 };
  return { ...base, op: "send", kind: "ok", atMs, ...send, messageId };
}

const pushed = (messageId: string, delayMs: number, userId = "bob"): LoggedPush => ({
  userId,
  messageId,
  sentAtMs: 1_700_000_000_000,
  receivedAtMs: 1_700_000_000_000 + delayMs,
});

/** Bob is away from 1 s to 60 s. */
const away = [session("open", 0), session("close", 1000), session("open", 60_000, "s2")];

describe("pushes of the smoke run", () => {
  it("are counted once a message, for users of the run only", () => {
    const pushes = [pushed("m1", 50), pushed("m1", 900), pushed("m2", 70), pushed("m3", 10, "someone else")];
    assert.deepEqual(pushFigures([...away, acked("m1", 5000), acked("m2", 6000)], pushes), {
      pushes: 2,
      pushesLate: 0,
    });
  });

  it("are late beyond 15 s, and when there are none", () => {
    const events = [...away, acked("m1", 5000), acked("m2", 6000), acked("m3", 7000)];
    assert.deepEqual(pushFigures(events, [pushed("m1", 15_000), pushed("m2", 15_001)]), { pushes: 2, pushesLate: 2 });
  });

  it("are not due for those who are here, are just closing, or come back soon", () => {
    const events = [...away, acked("m0", 500), acked("m1", 1900), acked("m2", 46_000), acked("m3", 61_000)];
    assert.deepEqual(pushFigures(events, []), { pushes: 0, pushesLate: 0 });
  });

  it("are due to someone who never comes back, and not while another device is open", () => {
    const gone = [session("open", 0), session("open", 1, "s2"), session("close", 1000), acked("m1", 5000)];
    assert.equal(pushFigures(gone, []).pushesLate, 0);
    assert.equal(pushFigures([...gone, session("close", 6000, "s2"), acked("m2", 8000)], []).pushesLate, 1);
  });

  it("are read from a log with other lines in it", () => {
    const line = JSON.stringify({ ...pushed("m1", 5), inboxSeq: 3 });
    assert.deepEqual(parsePushLog(`(node:1) Warning: x\n${line}\n{"listening":8080}\n\n`), [pushed("m1", 5)]);
  });
});
