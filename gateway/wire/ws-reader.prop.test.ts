// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type EventEmitter, once } from "node:events";
import type { Writable } from "node:stream";
import { describe, it } from "node:test";
import fc from "fast-check";
import * as ws from "ws";
import { type WsFrame, wsFrame } from "../testing/ws-frame.ts";
import { readWebSocket, type WsReading } from "./ws-test-kit.ts";

const MAX_BYTES = 300;
const RUNS = 1500;

/** The reader of the `ws` package, which is not in its types: an implementation by others. */
type Receiver = Writable & EventEmitter;
const { Receiver } = ws as unknown as { Receiver: new (options: object) => Receiver };

async function readByOthers(stream: Buffer): Promise<WsReading> {
  const events: string[] = [];
  let fault: number | undefined;
  const receiver = new Receiver({ isServer: true, maxPayload: MAX_BYTES, maxFragments: 16, extensions: {} });
  receiver.on("message", (data: Buffer, isBinary: boolean) =>
    events.push(`${isBinary ? "binary" : "text"} ${data.toString("hex")}`),
  );
  for (const name of ["ping", "pong"])
    receiver.on(name, (data: Buffer) => events.push(`${name} ${data.toString("hex")}`));
  receiver.on("conclude", (code: number) => events.push(`close ${code}`));
  receiver.on("error", (error: Error) => {
    const key = Object.getOwnPropertySymbols(error).find(({ description }) => description === "status-code");
    fault = (error as unknown as Record<symbol, number>)[key as symbol];
  });
  const isOver = new Promise<void>((done) => receiver.write(Buffer.from(stream), () => done()));
  await isOver;
  if (!receiver.destroyed) {
    const closed = once(receiver, "close").catch(() => undefined);
    receiver.destroy();
    await closed;
  }
  return { events, fault };
}

const payloads = fc.oneof(
  fc.uint8Array({ maxLength: 130 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: "grapheme", maxLength: 20 }).map((text) => Buffer.from(text)),
  fc.constantFrom("03e8", "03ee", "0fa0", "1388", "03e8ff", "03").map((hex) => Buffer.from(hex, "hex")),
);
/** Frames as a client should write them. */
const goodFrames = fc.oneof(
  fc.record({ opcode: fc.constantFrom(1, 2), payload: fc.string({ maxLength: 60 }).map((text) => Buffer.from(text)) }),
  fc.record({ opcode: fc.constantFrom(9, 10), payload: fc.uint8Array({ maxLength: 125 }).map((b) => Buffer.from(b)) }),
);
/** Frames of any kind, most of them nearly right. */
const anyFrames = fc.record(
  {
    opcode: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 1, 2, 8, 9, 10) }, fc.nat(15)),
    payload: payloads,
    isFinal: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.boolean()),
    rsv: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, fc.nat(7)),
    isMasked: fc.oneof({ weight: 12, arbitrary: fc.constant(true) }, fc.boolean()),
    lengthBytes: fc.constantFrom<0 | 2 | 8 | undefined>(undefined, undefined, undefined, 2, 8),
  },
  { requiredKeys: ["opcode", "payload"] },
);

/** A message in about as many fragments as are allowed. */
const fragmented = fc.tuple(fc.integer({ min: 14, max: 18 }), fc.constantFrom(1, 2)).map(([count, opcode]) =>
  Array.from({ length: count }, (_, i) => ({
    opcode: i === 0 ? opcode : 0,
    payload: Buffer.from([0x61 + i]),
    isFinal: i === count - 1,
  })),
);

function streamOf(frames: readonly object[]): Buffer {
  return Buffer.concat(frames.map((frame) => wsFrame(definedOf(frame))));
}

/** Without keys that are undefined. */
function definedOf(frame: object): WsFrame {
  return Object.fromEntries(Object.entries(frame).filter(([, value]) => value !== undefined)) as unknown as WsFrame;
}

/** A copy of `bytes`, cut at these places. */
function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...places, bytes.length].map((to, i) => Buffer.from(bytes.subarray(i === 0 ? 0 : places[i - 1], to)));
}

const byteByByte = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.from([byte]));

describe("WsReader", () => {
  it("reads what an implementation by others reads, right or wrong", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(goodFrames, goodFrames, anyFrames, fragmented), { maxLength: 24 }),
        async (frames) => {
          const stream = streamOf(frames.flat());
          const theirs = await readByOthers(stream);
          assert.deepEqual(readWebSocket([Buffer.from(stream)], MAX_BYTES), theirs);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("reads any bytes as an implementation by others does", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyFrames, { maxLength: 4 }),
        fc.uint8Array({ maxLength: 40 }),
        async (frames, rest) => {
          const stream = Buffer.concat([streamOf(frames), rest]);
          const theirs = await readByOthers(stream);
          assert.deepEqual(readWebSocket([Buffer.from(stream)], MAX_BYTES), theirs);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it("reads the same however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(goodFrames, anyFrames), { maxLength: 12 }),
        fc.array(fc.nat(3000), { maxLength: 30 }),
        (frames, cuts) => {
          const stream = streamOf(frames);
          const whole = readWebSocket([Buffer.from(stream)], MAX_BYTES);
          assert.deepEqual(readWebSocket(cutAt(stream, cuts), MAX_BYTES), whole);
          assert.deepEqual(readWebSocket(byteByByte(stream), MAX_BYTES), whole);
        },
      ),
      { numRuns: RUNS },
    );
  });
});
