// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkHistory } from "./check-history.ts";
import type { FinalState, HistoryEvent } from "./history.ts";

const USERS = 200;
const SENDS = 100_000;
const DEVICES = 2;
/** Far above what it takes (0.5 s; ten times as many take 6 s): a check that is not linear takes an hour. */
const LIMIT_MS = 60_000;

describe("checkHistory with 200,000 receipts", () => {
  it("grows with the number of events, not faster", () => {
    const events: HistoryEvent[] = [];
    const seqs = new Map<string, number>();
    const inboxes = new Map<string, number>();
    for (let at = 0; at < SENDS; at++) {
      const from = at % USERS;
      const to = (from + 1) % USERS;
      const [uid, peer, cmid, conv] = [`u${from}`, `u${to}`, `m${at}`, `c${from}`];
      const seq = (seqs.get(conv) ?? 0) + 1;
      seqs.set(conv, seq);
      const inboxSeq = (inboxes.get(peer) ?? 0) + 1;
      inboxes.set(peer, inboxSeq);
      const base = { seed: "s", process: uid, bodyHash: cmid, cmid, conv, seq, messageId: cmid, inboxSeq };
      const sent = { ...base, op: "send" as const, uid, device: "d0", to: peer };
      events.push({ ...sent, kind: "invoke", atMs: at }, { ...sent, kind: "ok", atMs: at + 0.5 });
      for (let device = 0; device < DEVICES; device++)
        events.push({ ...base, op: "receive", kind: "ok", uid: peer, device: `d${device}`, sender: uid, atMs: at + 1 });
    }
    const devices = Array.from({ length: USERS * DEVICES }, (_, at) => ({ uid: `u${at >> 1}`, device: `d${at & 1}` }));
    const final: FinalState = { devices };
    const startedMs = performance.now();
    const { violations, counts } = checkHistory(events, final, { expectsNotice: true });
    const tookMs = performance.now() - startedMs;
    assert.deepEqual(violations, []);
    assert.equal(counts.shown, SENDS * DEVICES);
    assert.ok(tookMs < LIMIT_MS, `${tookMs} ms`);
  });
});
