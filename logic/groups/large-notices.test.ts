// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { GroupReply } from "#proto/gen/messages.ts";
import { NO_ORIGIN, type Outgoing } from "../deliver/deliver.ts";
import type { EphemeralFrame } from "../deliver/ephemeral.ts";
import { PASS } from "../send/before-send.ts";
import { message } from "../store/contract/fixture.ts";
import type { GroupAudience } from "../store/groups.ts";
import { LargeNotices } from "./large-notices.ts";
import { LargePace } from "./large-pace.ts";

const settle = async (): Promise<void> => {
  for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setImmediate(resolve));
};

function said(convSeq: number, largeVersion: number, sender = "ann"): Outgoing {
  return {
    event: {
      ...{ conversationId: "g", convSeq, messageId: "0190a5a4-0000-7000-8000-000000000001", sender, sentAtMs: 1 },
      ...{ clientMessageId: `c${convSeq}`, contentType: "", content: Buffer.from(`m${convSeq}`) },
    },
    ...{ recipients: [{ userId: sender, inboxSeq: 1 }], epochMark: 1, origin: NO_ORIGIN, largeVersion },
  };
}

function setUp(audiences: (GroupAudience | Error | undefined)[]) {
  const sent: EphemeralFrame[] = [];
  const faults: string[] = [];
  let reads = 0;
  const notices = new LargeNotices({
    store: {
      audience: async () => {
        const audience = audiences[Math.min(reads++, audiences.length - 1)];
        if (audience instanceof Error) throw audience;
        return audience;
      },
    },
    ephemeral: { send: (frame) => void sent.push(frame) },
    clock: new FakeClock(),
    defer: setImmediate,
    onFault: (op) => void faults.push(op),
  });
  const shown = (): [number, readonly string[]][] =>
    sent.map(({ body, userIds }) => [GroupReply.decode(body).events[0]?.convSeq ?? 0, userIds]);
  return { notices, sent, faults, shown, reads: () => reads };
}

const audience = (version: number, members: string[], joinedSeqs?: number[]): GroupAudience => ({
  ...{ version, members, joinedSeqs: joinedSeqs ?? members.map(() => 0) },
});

describe("messages of large groups", () => {
  it("are shown to the members who have them in no inbox and had joined, with their content", async () => {
    const { notices, sent, shown } = setUp([audience(3, ["ann", "ben", "cal", "dan"], [0, 0, 4, 5])]);
    notices.tell(said(5, 3));
    await settle();
    assert.deepEqual(shown(), [[5, ["ben", "cal"]]]);
    const [event] = GroupReply.decode(sent[0]?.body ?? new Uint8Array()).events;
    assert.deepEqual([event?.inboxSeq, event?.sender, Buffer.from(event?.content ?? []).toString()], [0, "ann", "m5"]);
    assert.equal(notices.isIdle, true);
  });

  it("go by the members of their version of the group, which are read anew when they are older", async () => {
    const { notices, shown, reads } = setUp([audience(3, ["ann", "ben"]), audience(4, ["ann", "cal"], [0, 5])]);
    notices.tell(said(5, 3));
    await settle();
    notices.tell(said(6, 3));
    await settle();
    assert.equal(reads(), 1);
    // Ben was removed, and cal joined.
    notices.tell(said(7, 4));
    await settle();
    assert.deepEqual(
      [shown(), reads()],
      [
        [
          [5, ["ben"]],
          [6, ["ben"]],
          [7, ["cal"]],
        ],
        2,
      ],
    );
  });

  it("go in their order to portions of the members, with a bound on what waits", async () => {
    const many = Array.from({ length: 1200 }, (_, at) => `u${at}`);
    const { notices, shown } = setUp([audience(1, many)]);
    for (let seq = 1; seq <= 300; seq++) notices.tell(said(seq, 1));
    await settle();
    const first = shown().filter(([seq]) => seq === 1);
    assert.deepEqual(
      first.map(([, userIds]) => userIds.length),
      [500, 500, 200],
    );
    assert.deepEqual(
      first.flatMap(([, userIds]) => userIds),
      many,
    );
    const seqs = shown().flatMap(([seq, userIds]) => (userIds.includes("u0") ? seq : []));
    assert.deepEqual(
      seqs,
      Array.from({ length: 101 }, (_, at) => at + 1),
      "the rest is read by whoever misses it",
    );
  });

  it("are shown to nobody when the members cannot be read, and the next one is", async () => {
    const { notices, faults, shown } = setUp([new Error("away"), undefined, audience(1, ["ann", "ben"])]);
    for (const seq of [1, 2, 3]) {
      notices.tell(said(seq, 1));
      await settle();
    }
    assert.deepEqual([faults, shown()], [["large group"], [[3, ["ben"]]]]);
  });
});

describe("the pace of large groups", () => {
  const to = (conversationId: string, peer = "") => message({ sender: "ann", peer, conversationId });

  it("bounces what is too much, and says when the next one passes", () => {
    const clock = new FakeClock();
    const pace = new LargePace(clock);
    for (let count = 0; count < 100; count++) assert.equal(pace.judge(to("g")), PASS, "nobody knows that it is large");
    pace.sawLarge("g");
    for (let count = 0; count < 40; count++) assert.equal(pace.judge(to("g")), PASS);
    pace.sawLarge("g");
    const bounced = pace.judge(to("g"));
    assert.deepEqual([bounced.verdict, bounced.by, bounced.retryAfterMs], ["bounce", "large-group", 50]);
    assert.equal(pace.judge(to("h")), PASS);
    assert.equal(pace.judge(to("g", "ben")), PASS, "it is no group");
    clock.advance(50);
    assert.equal(pace.judge(to("g")), PASS);
    assert.equal(pace.judge(to("g")).verdict, "bounce");
    clock.advance(3_600_000);
    for (let count = 0; count < 40; count++) assert.equal(pace.judge(to("g")), PASS);
    assert.equal(pace.judge(to("g")).verdict, "bounce");
  });
});
