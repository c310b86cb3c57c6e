// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { eventAt } from "../test/fake-server.ts";
import type { Event } from "./codec.ts";
import { Shown } from "./shown.ts";

const event = (conversationId: string, convSeq: number, time: number): Event =>
  eventAt(1, { conversationId, convSeq, messageId: `0190-${String(time).padStart(8, "0")}` });

describe("what was shown", () => {
  it("repeats what an inbox that begins anew brings again, and not what is new under an old seq", () => {
    const shown = new Shown();
    const before = [event("a", 1, 10), event("b", 1, 11), event("a", 2, 12), event("a", 3, 13)];
    assert.ok(before.every((one) => !shown.isRepeat(one)));
    assert.ok(before.every((one) => shown.isRepeat(one)));
    // The restored database had a up to seq 1; seqs 2 and 3 were given to other messages since.
    assert.ok(!shown.isRepeat(event("a", 2, 20)));
    assert.ok(!shown.isRepeat(event("a", 3, 21)));
    assert.ok(shown.isRepeat(event("a", 3, 21)));
    shown.clear();
    assert.ok(!shown.isRepeat(event("a", 1, 10)));
  });

  it("shows every message once, whatever part of the inbox comes again", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3), { maxLength: 60 }), fc.array(fc.nat(60), { maxLength: 5 }), (inbox, restarts) => {
        const seqs = new Map<number, number>();
        const events = inbox.map((conversation, at) => {
          const seq = (seqs.get(conversation) ?? 0) + 1;
          seqs.set(conversation, seq);
          return event(`c${conversation}`, seq, at);
        });
        const shown = new Shown();
        const got: Event[] = [];
        for (const end of [...restarts, events.length])
          got.push(...events.slice(0, end).filter((one) => !shown.isRepeat(one)));
        assert.deepEqual(got, events);
      }),
    );
  });

  it("remembers a bounded number of conversations, the newest", () => {
    const shown = new Shown();
    for (let at = 0; at <= 10_000; at++) shown.isRepeat(event(`c${at}`, 1, at));
    assert.ok(shown.isRepeat(event("c10000", 1, 10_000)));
    assert.ok(!shown.isRepeat(event("c0", 1, 0)));
  });
});
