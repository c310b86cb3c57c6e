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
      const receive = { op: "receive" as const, kind: "ok" as const, uid: peer, sender: uid, atMs: at + 1 };
      for (let device = 0; device < DEVICES; device++) events.push({ ...base, ...receive, device: `d${device}` });
      // Every tenth is edited, and one device sees it.
      if (at % 10 !== 0 || seq === 1) continue;
      const edit = { seq: seq - 1, messageId: `m${at - USERS}`, version: 2 };
      const asked = { ...sent, ...edit, op: "change" as const, cmid: `e${at}`, contentHash: "edited" };
      events.push({ ...asked, kind: "invoke", atMs: at + 2 });
      const view = { seed: "s", process: uid, uid: peer, device: "d0", conv, ...edit, bodyHash: "edited" };
      events.push({ ...view, op: "view", kind: "ok", atMs: at + 3 });
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
