// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../lib/clock.ts";
import { ClientCode, ErrorCode } from "./codes.ts";
import { ImClientError } from "./errors.ts";
import { DEFAULT_TIMING } from "./options.ts";
import { Outbox, type OutboxSettings, type SendResult } from "./outbox.ts";
import { utf8 } from "./wire.ts";

function setup(settings: Partial<OutboxSettings> = {}) {
  const clock = new FakeClock();
  const line = { isUp: true };
  const written: { rid: number; body: string }[] = [];
  const done: string[] = [];
  let rid = 0;
  const outbox = new Outbox(
    {
      write(body) {
        if (!line.isUp) return undefined;
        written.push({ rid: ++rid, body: new TextDecoder().decode(body) });
        return rid;
      },
      onDone: (id) => done.push(id),
    },
    {
      clock,
      random: () => 0.5,
      timing: { ...DEFAULT_TIMING, ackTimeoutMs: 10_000 },
      outboxLimit: 100,
      window: 4,
      conversationWindow: 1,
      ...settings,
    },
  );
  const outcomes = new Map<string, SendResult | ImClientError>();
  const add = (id: string, lane = id): void => {
    const keep = (outcome: SendResult | ImClientError): unknown => outcomes.set(id, outcome);
    void outbox.add({ id, lane, body: utf8(id) }).then(keep, keep);
  };
  const ack = (id: string): boolean => outbox.acknowledged(id, resultOf(id));
  const bodies = (): string[] => written.map(({ body }) => body);
  const ridOf = (body: string): number => written.findLast((entry) => entry.body === body)?.rid ?? 0;
  return { outbox, clock, line, written, done, outcomes, add, ack, bodies, ridOf };
}
const resultOf = (id: string): SendResult => ({
  id,
  messageId: `m-${id}`,
  conversationId: "c",
  convSeq: 1,
  sentAtMs: 0,
  duplicate: false,
});
const busyFor = (retryAfterMs: number): ImClientError => new ImClientError(ErrorCode.BUSY, "busy", { retryAfterMs });

describe("outbox", () => {
  it("one in flight per conversation, conversations side by side, a window over all", () => {
    const { add, ack, bodies } = setup({ window: 3 });
    for (const id of ["a1", "a2", "b1", "c1", "d1"]) add(id, id.slice(0, 1));
    assert.deepEqual(bodies(), ["a1", "b1", "c1"]);
    ack("a1");
    assert.deepEqual(bodies(), ["a1", "b1", "c1", "d1"]);
    ack("b1");
    assert.deepEqual(bodies(), ["a1", "b1", "c1", "d1", "a2"]);
  });

  it("settles with the server's answer, once", async () => {
    const { add, ack, outcomes, outbox, clock } = setup();
    add("a");
    assert.equal(ack("a"), true);
    assert.equal(ack("a"), false);
    await Promise.resolve();
    assert.deepEqual(outcomes.get("a"), resultOf("a"));
    assert.deepEqual([outbox.size, clock.pending], [0, 0]);
  });

  it("writes again after a disconnect, in order, and what waited before stays behind it", () => {
    const { add, outbox, line, bodies } = setup({ conversationWindow: 2 });
    for (const id of ["a1", "a2", "a3"]) add(id, "a");
    line.isUp = false;
    outbox.disconnected();
    add("a4", "a");
    line.isUp = true;
    outbox.pump();
    assert.deepEqual(bodies(), ["a1", "a2", "a1", "a2"]);
    assert.equal(outbox.resent, 2);
  });

  it("writes again when no answer comes in time", () => {
    const { add, clock, bodies, ack } = setup();
    add("a");
    clock.advance(9_999);
    assert.deepEqual(bodies(), ["a"]);
    clock.advance(1);
    assert.deepEqual(bodies(), ["a", "a"]);
    ack("a");
    clock.advance(60_000);
    assert.deepEqual(bodies(), ["a", "a"]);
  });

  it("obeys retry_after, backs off further each time, and holds the conversation meanwhile", () => {
    const { add, outbox, clock, bodies, ridOf } = setup();
    add("a1", "a");
    add("a2", "a");
    outbox.refused(ridOf("a1"), busyFor(300));
    clock.advance(399);
    assert.deepEqual(bodies(), ["a1"]);
    clock.advance(1);
    assert.deepEqual(bodies(), ["a1", "a1"]);
    outbox.refused(ridOf("a1"), busyFor(0));
    clock.advance(199);
    assert.equal(bodies().length, 2);
    clock.advance(1);
    assert.deepEqual(bodies(), ["a1", "a1", "a1"]);
  });

  it("a wider lane never passes a message that rests", () => {
    const { add, outbox, bodies, ridOf, clock } = setup({ conversationWindow: 3 });
    for (const id of ["a1", "a2", "a3", "a4"]) add(id, "a");
    outbox.refused(ridOf("a1"), busyFor(0));
    outbox.acknowledged("a2", resultOf("a2"));
    assert.deepEqual(bodies(), ["a1", "a2", "a3"]);
    clock.advance(100);
    assert.deepEqual(bodies(), ["a1", "a2", "a3", "a1", "a4"]);
  });

  it("rejects what a resend cannot cure and goes on with the next", async () => {
    const { add, outbox, bodies, outcomes, ridOf } = setup();
    add("a1", "a");
    add("a2", "a");
    const error = new ImClientError(ErrorCode.CONFLICT, "other content", { messageId: "m9" });
    assert.equal(outbox.refused(ridOf("a1"), error), true);
    assert.equal(outbox.refused(999, error), false);
    await Promise.resolve();
    assert.equal(outcomes.get("a1"), error);
    assert.deepEqual(bodies(), ["a1", "a2"]);
  });

  it("an answer to an outdated request changes nothing", () => {
    const { add, outbox, clock, ridOf, written } = setup();
    add("a");
    const first = ridOf("a");
    clock.advance(10_000);
    assert.equal(outbox.refused(first, new ImClientError(ErrorCode.INTERNAL, "x")), false);
    assert.equal(outbox.size, 1);
    assert.equal(written.length, 2);
  });

  it("is bounded and says so", async () => {
    const { add, outcomes, ack } = setup({ outboxLimit: 2 });
    for (const id of ["a", "b", "c"]) add(id);
    await Promise.resolve();
    const refused = outcomes.get("c");
    assert.ok(refused instanceof ImClientError && refused.code === ClientCode.OUTBOX_FULL && refused.retryable);
    ack("a");
    add("d");
    await Promise.resolve();
    assert.equal(outcomes.has("d"), false);
  });

  it("the same id and body is the same message; another body a conflict", async () => {
    const { outbox, written } = setup();
    const first = outbox.add({ id: "a", lane: "a", body: utf8("x") });
    assert.equal(outbox.add({ id: "a", lane: "a", body: utf8("x") }), first);
    await assert.rejects(outbox.add({ id: "a", lane: "a", body: utf8("y") }), { code: ErrorCode.CONFLICT });
    assert.equal(written.length, 1);
  });

  it("aborting frees the lane; a late answer is ignored", async () => {
    const { add, outbox, outcomes, bodies, ack } = setup();
    add("a1", "a");
    add("a2", "a");
    outbox.abort("a1", new ImClientError(ClientCode.ABORTED, "aborted"));
    await Promise.resolve();
    assert.ok(outcomes.get("a1") instanceof ImClientError);
    assert.deepEqual(bodies(), ["a1", "a2"]);
    assert.equal(ack("a1"), false);
  });

  it("what flies when the server lost track rests and is written again", () => {
    const { add, outbox, bodies, clock } = setup();
    add("a");
    outbox.retryFlying(0);
    clock.advance(100);
    assert.deepEqual(bodies(), ["a", "a"]);
  });

  it("rejecting all leaves no timer", async () => {
    const { add, outbox, outcomes, clock, ridOf } = setup();
    for (const id of ["a", "b", "c", "d", "e"]) add(id);
    outbox.refused(ridOf("b"), busyFor(1_000));
    outbox.rejectAll(new ImClientError(ClientCode.CLOSED, "closed"));
    await Promise.resolve();
    assert.deepEqual([outcomes.size, outbox.size, clock.pending], [5, 0, 0]);
  });
});
