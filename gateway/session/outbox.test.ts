// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Command, Flag } from "#proto/commands.ts";
import { type Event, Push } from "#proto/gen/messages.ts";
import { encodeFrame } from "../wire/envelope.ts";
import { decodeAll } from "../wire/frame-test-kit.ts";
import {
  EPHEMERAL_MAX_BYTES,
  MAX_PUSH_BYTES,
  OUTBOX_HARD_MAX_BYTES,
  OUTBOX_MAX_BYTES,
  OUTBOX_MAX_FRAMES,
  Outbox,
  SLOW_CONSUMER_TICKS,
} from "./outbox.ts";
import { EntryStats } from "./stats.ts";

/** Takes everything; blocks after a write while `isSlow`. */
class FakePort {
  writes: Buffer[] = [];
  isSlow = false;
  isPaused = false;
  bufferedBytes = 0;

  write(bytes: Buffer): boolean {
    this.writes.push(bytes);
    return !this.isSlow;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
}

function setUp() {
  const port = new FakePort();
  const stats = new EntryStats();
  return { port, stats, outbox: new Outbox(port, stats) };
}

const eventOf = (inboxSeq: number, bytes = 0): Uint8Array =>
  Push.encode({ events: [{ inboxSeq, content: new Uint8Array(bytes) } as Event] });

const framesOf = (port: FakePort) => decodeAll(port.writes, 16 * 1024 * 1024).frames;
const seqsOf = (port: FakePort): number[] =>
  framesOf(port)
    .filter(({ cmd }) => cmd === Command.PUSH)
    .flatMap(({ body }) => Push.decode(Buffer.from(body, "hex")).events.map(({ inboxSeq }) => inboxSeq));

describe("Outbox", () => {
  it("joins the events of a tick to one PUSH and all frames to one write, the PUSH where its first event came", () => {
    const { port, outbox, stats } = setUp();
    outbox.add(encodeFrame(Command.PONG, 1, 1));
    outbox.addEvent(eventOf(1));
    outbox.add(encodeFrame(Command.PONG, 2, 1));
    outbox.addEvent(eventOf(2));
    outbox.flush(1);
    assert.equal(port.writes.length, 1);
    assert.deepEqual(
      framesOf(port).map(({ cmd, rid }) => [cmd, rid]),
      [
        [Command.PONG, 1],
        [Command.PUSH, 0],
        [Command.PONG, 2],
      ],
    );
    assert.deepEqual(seqsOf(port), [1, 2]);
    assert.deepEqual([outbox.bytes, outbox.frames], [0, 0]);
    assert.deepEqual([stats.framesOut, stats.writes, stats.bytesOut], [3, 1, port.writes[0]?.length]);
  });

  it("starts another PUSH at 128 KiB", () => {
    const { port, outbox } = setUp();
    for (let seq = 1; seq <= 5; seq++) outbox.addEvent(eventOf(seq, 50_000));
    outbox.flush(1);
    const frames = framesOf(port);
    assert.equal(frames.length, 3);
    for (const { body } of frames) assert.ok(body.length / 2 <= MAX_PUSH_BYTES);
    assert.deepEqual(seqsOf(port), [1, 2, 3, 4, 5]);
  });

  it("copies events: the batch they came in may be reused after the flush", () => {
    const { port, outbox } = setUp();
    port.isSlow = true;
    outbox.add(encodeFrame(Command.PONG, 1, 1));
    outbox.flush(1);
    const event = Buffer.from(eventOf(7));
    outbox.addEvent(event);
    outbox.flush(1);
    event.fill(0);
    port.isSlow = false;
    outbox.onDrain();
    outbox.flush(2);
    assert.deepEqual(seqsOf(port), [7]);
  });

  it("waits while the port is blocked, and says since when", () => {
    const { port, outbox } = setUp();
    port.isSlow = true;
    outbox.add(encodeFrame(Command.PONG, 1, 1));
    outbox.flush(5);
    outbox.add(encodeFrame(Command.PONG, 2, 1));
    outbox.flush(6);
    assert.equal(port.writes.length, 1);
    assert.equal(outbox.slowTick, 5 + SLOW_CONSUMER_TICKS);
    outbox.onDrain();
    assert.equal(outbox.slowTick, Number.POSITIVE_INFINITY);
    outbox.flush(9);
    assert.equal(port.writes.length, 2);
    assert.equal(outbox.slowTick, 9 + SLOW_CONSUMER_TICKS);
  });

  it("drops pushes beyond its bounds until the pull advice was given, and says so", () => {
    const { port, outbox } = setUp();
    port.bufferedBytes = OUTBOX_MAX_BYTES;
    assert.equal(outbox.addEvent(eventOf(1)), false);
    port.bufferedBytes = 0;
    assert.equal(outbox.addEvent(eventOf(2)), false, "a hole follows anyway: the client pulls");
    assert.equal(outbox.needsPull, true);
    outbox.clearNeedsPull();
    assert.equal(outbox.addEvent(eventOf(3)), true);
  });

  it("bounds the number of frames of a client that does not read, not of one tick", () => {
    const { port, outbox } = setUp();
    for (let i = 0; i < OUTBOX_MAX_FRAMES; i++) outbox.add(encodeFrame(Command.PONG, i, 1));
    assert.equal(outbox.addEvent(eventOf(1)), true);
    port.isSlow = true;
    outbox.flush(1);
    for (let i = 0; i < OUTBOX_MAX_FRAMES; i++) outbox.add(encodeFrame(Command.PONG, i, 1));
    assert.equal(outbox.addEvent(eventOf(2)), false);
  });

  it("takes answers beyond that, up to a hard limit", () => {
    const { outbox } = setUp();
    const page = encodeFrame(Command.SYNC_PAGE, 1, 1, Buffer.alloc(OUTBOX_MAX_BYTES));
    assert.deepEqual(
      [outbox.add(page), outbox.add(page), outbox.add(page), outbox.add(page)],
      [true, true, true, false],
    );
    assert.ok(outbox.bytes <= OUTBOX_HARD_MAX_BYTES);
  });

  it("stops reading requests while its backlog is large", () => {
    const { port, outbox } = setUp();
    port.isSlow = true;
    outbox.add(encodeFrame(Command.SYNC_PAGE, 1, 1, Buffer.alloc(10)));
    outbox.flush(1);
    for (let i = 0; i < 3; i++) outbox.add(encodeFrame(Command.SYNC_PAGE, 1, 1, Buffer.alloc(250_000)));
    outbox.flush(1);
    assert.deepEqual([port.isPaused, outbox.isPausedByBacklog], [true, true]);
    port.isSlow = false;
    outbox.onDrain();
    outbox.flush(2);
    assert.deepEqual([port.isPaused, outbox.isPausedByBacklog], [false, false]);
    outbox.holdReading(true);
    assert.deepEqual([port.isPaused, outbox.isPausedByBacklog], [true, false], "held for another reason");
  });

  it("loses, invents and reorders nothing, whatever comes when", () => {
    const action = fc.constantFrom("event", "frame", "flush", "block", "drain");
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const { port, outbox } = setUp();
        const events: number[] = [];
        const frames: number[] = [];
        let next = 1;
        const drain = (): void => {
          port.isSlow = false;
          outbox.onDrain();
          outbox.flush(1);
        };
        const acts: Record<string, () => void> = {
          event: () => void (outbox.addEvent(eventOf(next)) && events.push(next++)),
          frame: () => void (outbox.add(encodeFrame(Command.PONG, next, 1)) && frames.push(next++)),
          flush: () => outbox.flush(1),
          block: () => {
            port.isSlow = true;
          },
          drain,
        };
        for (const name of actions) acts[name]?.();
        drain();
        assert.deepEqual(seqsOf(port), events);
        const pongs = framesOf(port).filter(({ cmd }) => cmd === Command.PONG);
        assert.deepEqual(
          pongs.map(({ rid }) => rid),
          frames,
        );
        assert.equal(outbox.bytes, 0);
      }),
    );
  });
});

describe("frames that may be lost", () => {
  const tell = (outbox: Outbox, bytes = 2): boolean =>
    outbox.addEphemeral(Command.PRESENCE, Flag.NO_PERSIST, new Uint8Array(bytes).fill(0x61));
  const shown = (port: FakePort): [number, number][] => framesOf(port).map(({ cmd, body }) => [cmd, body.length / 2]);

  it("are written in their place", () => {
    const { port, outbox } = setUp();
    outbox.add(encodeFrame(Command.PONG, 1, 1));
    assert.equal(tell(outbox), true);
    outbox.addEvent(eventOf(1));
    outbox.flush(1);
    assert.deepEqual(
      framesOf(port).map(({ cmd, rid, flags }) => [cmd, rid, flags]),
      [
        [Command.PONG, 1, Flag.REPLY],
        [Command.PRESENCE, 0, Flag.NO_PERSIST],
        [Command.PUSH, 0, 0],
      ],
    );
  });

  it("are dropped while the client does not read, which it is told once, behind everything else", () => {
    const { port, outbox } = setUp();
    port.isSlow = true;
    outbox.add(encodeFrame(Command.PONG, 1, 1));
    outbox.flush(1);
    port.writes = [];
    for (let count = 0; count < 1000; count++) assert.equal(tell(outbox), false);
    outbox.addEvent(eventOf(1));
    outbox.flush(2);
    assert.deepEqual(shown(port), []);
    assert.ok(outbox.bytes < 100);
    port.isSlow = false;
    outbox.onDrain();
    outbox.flush(3);
    assert.deepEqual(
      shown(port).map(([cmd]) => cmd),
      [Command.PUSH, Command.PRESENCE],
    );
    assert.deepEqual(shown(port)[1], [Command.PRESENCE, 0]);
    assert.equal(tell(outbox), true);
    outbox.flush(4);
    assert.deepEqual(shown(port).slice(2), [[Command.PRESENCE, 2]]);
  });

  it("are taken up to half of what waits at most, and dropped beyond", () => {
    const { port, outbox } = setUp();
    outbox.add(encodeFrame(Command.SYNC_PAGE, 1, 1, new Uint8Array(EPHEMERAL_MAX_BYTES - 1000)));
    const room = EPHEMERAL_MAX_BYTES - outbox.bytes;
    assert.equal(tell(outbox, room + 1), false);
    assert.equal(tell(outbox, room), true);
    assert.equal(tell(outbox), false);
    outbox.flush(1);
    assert.deepEqual(shown(port).slice(1), [
      [Command.PRESENCE, room],
      [Command.PRESENCE, 0],
    ]);
  });

  it("are forgotten with the connection", () => {
    const { port, outbox } = setUp();
    port.isSlow = true;
    outbox.add(encodeFrame(Command.PONG, 1, 1));
    outbox.flush(1);
    tell(outbox);
    outbox.clear();
    outbox.onDrain();
    port.writes = [];
    outbox.flush(2);
    assert.deepEqual(port.writes, []);
  });
});
