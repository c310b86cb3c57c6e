// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#lib/clock.ts";
import { POLL_WINDOW_BYTES, PollCarrier, type Polled } from "./poll-carrier.ts";

function setUp() {
  const clock = new FakeClock();
  const carrier = new PollCarrier("10.0.0.1", clock);
  const events: string[] = [];
  carrier.attach({ onDrain: () => events.push("drain"), onGone: () => events.push("gone") });
  const poll = async (cursor: number, waitMs = 1000): Promise<Polled> => {
    const polled = carrier.poll(cursor, waitMs);
    assert.ok(polled, `cursor ${cursor}`);
    return polled;
  };
  return { clock, carrier, events, poll };
}

const text = ({ bytes, cursor, ended }: Polled) => [bytes.toString(), cursor, ended?.code];

describe("PollCarrier", () => {
  it("gives what waits at once, else the next bytes, else nothing after the wait", async () => {
    const { clock, carrier, poll } = setUp();
    carrier.write(Buffer.from("ab"));
    carrier.write(Buffer.from("c"));
    assert.deepEqual(text(await poll(0)), ["abc", 3, undefined]);
    const next = poll(3);
    carrier.write(Buffer.from("d"));
    assert.deepEqual(text(await next), ["d", 4, undefined]);
    const empty = poll(4, 500);
    clock.advance(500);
    assert.deepEqual(text(await empty), ["", 4, undefined]);
    assert.equal(clock.pending, 0);
  });

  it("gives an answer that was lost again, with what came since", async () => {
    const { carrier, poll } = setUp();
    carrier.write(Buffer.from("abc"));
    await poll(0);
    carrier.write(Buffer.from("d"));
    assert.deepEqual(text(await poll(0)), ["abcd", 4, undefined]);
    assert.deepEqual(text(await poll(3)), ["d", 4, undefined]);
    assert.equal(carrier.poll(2, 1), undefined, "acknowledged before");
    assert.equal(carrier.poll(5, 1), undefined, "never given");
  });

  it("answers an earlier poll with nothing when a newer one comes", async () => {
    const { clock, carrier, poll } = setUp();
    const first = poll(0);
    const second = poll(0);
    assert.deepEqual(text(await first), ["", 0, undefined]);
    carrier.write(Buffer.from("x"));
    assert.deepEqual(text(await second), ["x", 1, undefined]);
    assert.equal(clock.pending, 0);
  });

  it("takes nothing more from the outbox while a window is not acknowledged", async () => {
    const { carrier, events, poll } = setUp();
    assert.equal(carrier.write(Buffer.alloc(POLL_WINDOW_BYTES)), true);
    assert.equal(carrier.write(Buffer.alloc(1)), false);
    assert.equal(carrier.bufferedBytes, POLL_WINDOW_BYTES + 1);
    const { cursor } = await poll(0);
    assert.deepEqual(events, []);
    void poll(cursor);
    assert.deepEqual(events, ["drain"]);
    assert.equal(carrier.bufferedBytes, 0);
  });

  it("says why it ended with the last bytes, as often as it is asked", async () => {
    const { carrier, events, poll } = setUp();
    const waiting = poll(0);
    carrier.end(4001, "moved");
    assert.deepEqual(text(await waiting), ["", 0, 4001]);
    const late = setUp();
    late.carrier.write(Buffer.from("bye"));
    late.carrier.end(4520, "kicked");
    late.carrier.end(4000, "again");
    assert.deepEqual(text(await late.poll(0)), ["bye", 3, 4520]);
    assert.deepEqual(text(await late.poll(0)), ["bye", 3, 4520]);
    assert.deepEqual(text(await late.poll(3)), ["", 3, 4520]);
    late.carrier.destroy();
    late.carrier.destroy();
    assert.deepEqual([late.events, events], [["gone"], []]);
  });

  it("releases who waits when it is destroyed", async () => {
    const { clock, carrier, events, poll } = setUp();
    const waiting = poll(0);
    carrier.destroy();
    assert.deepEqual(text(await waiting), ["", 0, undefined]);
    assert.deepEqual([events, clock.pending], [["gone"], 0]);
  });

  it("brings every byte once and in order, whatever is lost on the way", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("write" as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) }),
      fc.record({ kind: fc.constant("poll" as const), isLost: fc.boolean() }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { clock, carrier, poll } = setUp();
        const written: number[] = [];
        const received: number[] = [];
        let cursor = 0;
        const ask = async (isLost: boolean): Promise<void> => {
          const polled = poll(cursor, 10);
          clock.advance(10);
          const answer = await polled;
          if (isLost) return;
          received.push(...answer.bytes);
          cursor = answer.cursor;
        };
        for (const one of steps) {
          if (one.kind === "poll") await ask(one.isLost);
          else {
            carrier.write(Buffer.from(one.bytes));
            written.push(...one.bytes);
          }
        }
        await ask(false);
        assert.deepEqual(received, written);
      }),
    );
  });
});
