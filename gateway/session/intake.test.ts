// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Intake, type IntakeOwner } from "./intake.ts";
import type { SessionPace } from "./session-pace.ts";

/** A frame with a body of so many bytes. */
function frame(bytes: number): Buffer {
  const prefix: number[] = [];
  let rest = bytes;
  for (; rest >= 0x80; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...prefix, rest]), Buffer.alloc(bytes, 1)]);
}

function setUp({ stopAfter = Number.POSITIVE_INFINITY } = {}) {
  const stats = { framesIn: 0, bytesIn: 0 };
  const heard: string[] = [];
  const owner: IntakeOwner = {
    onFrame: (_buffer, start, end) => {
      stats.framesIn++;
      heard.push(String(end - start));
      return stats.framesIn < stopAfter;
    },
    close: (code, reason) => {
      heard.push(`${code} ${reason}`);
      intake.close();
    },
    onHeldBack: (tick) => void heard.push(`held until ${tick}`),
  };
  const intake = new Intake(owner, stats);
  const paced: [number, number][] = [];
  const state = { isPaceClosed: false };
  /** The login is accepted. @param dueTick what the session's rates say */
  const logIn = (dueTick = 0): void => {
    const took = (frames: number, bytes: number): number => {
      paced.push([frames, bytes]);
      return dueTick;
    };
    const close = (): void => {
      state.isPaceClosed = true;
    };
    intake.onLogin({ took, close } as unknown as SessionPace);
  };
  return { intake, stats, heard, paced, logIn, state };
}

const KIB = 1024;

describe("Intake", () => {
  it("cuts a stream into frames, wherever it comes apart, and messages into whole ones", () => {
    const { intake, heard } = setUp();
    const bytes = Buffer.concat([frame(3), frame(200), frame(1)]);
    for (let at = 0; at < bytes.length; at += 7) intake.onBytes(bytes.subarray(at, at + 7));
    assert.deepEqual(heard.splice(0), ["3", "200", "1"]);
    intake.onMessage(bytes, bytes.length);
    assert.deepEqual(heard.splice(0), ["3", "200", "1"]);
    intake.onMessage(bytes.subarray(0, -1), bytes.length - 1);
    assert.deepEqual(
      heard,
      ["3", "200", `${DisconnectCode.BAD_FRAME} bytes that are no frame`],
      "a frame cut by its message",
    );
  });

  it("takes 64 KiB before the login and not a byte more, in one frame or in all", () => {
    const one = setUp();
    one.intake.onBytes(frame(64 * KIB + 1));
    assert.match(one.heard.join(), /^4501 more than 64 KiB before the login/);
    const many = setUp();
    for (let count = 0; count < 64; count++) many.intake.onBytes(frame(KIB - 2));
    assert.deepEqual(new Set(many.heard), new Set([String(KIB - 2)]));
    many.intake.onBytes(Buffer.of(1));
    assert.match(many.heard.at(-1) ?? "", /^4501 more than 64 KiB/);
    const claimed = setUp();
    claimed.intake.onBytes(frame(64 * KIB + 1).subarray(0, 10));
    assert.deepEqual(claimed.heard, [`${DisconnectCode.FRAME_TOO_LARGE} frame over the limit`]);
  });

  it("takes frames of 256 KiB after it, as many as there are", () => {
    const { intake, heard, logIn } = setUp();
    logIn();
    for (let count = 0; count < 3; count++) intake.onBytes(frame(256 * KIB));
    assert.deepEqual(heard.splice(0), Array(3).fill(String(256 * KIB)));
    intake.onBytes(frame(256 * KIB + 1));
    assert.deepEqual(heard, [`${DisconnectCode.FRAME_TOO_LARGE} frame over the limit`]);
  });

  it("counts what a session sends against its rates, in the form in which it came, and says until when it is held back", () => {
    const { intake, heard, paced, logIn, stats } = setUp();
    intake.onBytes(frame(5));
    assert.deepEqual(paced, [], "not before the login");
    logIn(77);
    intake.onBytes(Buffer.concat([frame(5), frame(6)]));
    intake.onMessage(frame(5), 50);
    intake.took(1, 9);
    assert.deepEqual(paced, [
      [2, 13],
      [1, 50],
      [1, 9],
    ]);
    assert.equal(heard.filter((text) => text === "held until 77").length, 3);
    assert.equal(stats.bytesIn, 6 + 13 + 50);
  });

  it("reads nothing once it is closed, also in the middle of a chunk, and releases the timer", () => {
    const { intake, heard, logIn, state, stats } = setUp({ stopAfter: 1 });
    logIn();
    intake.onBytes(Buffer.concat([frame(1), frame(2)]));
    assert.deepEqual(heard.splice(0), ["1"], "the owner said stop");
    intake.close();
    assert.equal(state.isPaceClosed, true);
    assert.equal(intake.admit(10), false);
    intake.onBytes(Buffer.of(0));
    intake.onMessage(Buffer.of(0), 1);
    assert.deepEqual([heard, stats.bytesIn], [[], 5 + 12], "counted all the same");
  });
});
