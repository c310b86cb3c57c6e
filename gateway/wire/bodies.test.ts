// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Command, Flag } from "#proto/commands.ts";
import { ErrorInfo, Goaway, Kick, Pong } from "#proto/gen/messages.ts";
import { disconnectFrame, errorFrame, goawayFrame, kickFrame, pongFrame } from "./bodies.ts";
import { EnvelopeReader } from "./envelope.ts";

function read(frame: Buffer): EnvelopeReader {
  const reader = new EnvelopeReader();
  assert.ok(reader.read(frame, 1, frame.length), "these frames are below 128 bytes");
  return reader;
}

describe("bodies written by the entry", () => {
  it("PONG by hand is what protobufjs reads", () => {
    const safe = fc.nat(Number.MAX_SAFE_INTEGER);
    fc.assert(
      fc.property(fc.nat(0xffffffff), safe, safe, safe, (rid, serverTimeMs, inboxHead, sysHead) => {
        const frame = read(pongFrame(rid, serverTimeMs, inboxHead, sysHead));
        assert.equal(frame.cmd, Command.PONG);
        assert.equal(frame.rid, rid);
        assert.equal(frame.flags, rid === 0 ? 0 : Flag.REPLY);
        assert.deepEqual(Pong.decode(frame.body), { serverTimeMs, inboxHead, sysHead });
      }),
    );
  });

  it("ERROR answers a request or is about the connection", () => {
    const answer = read(errorFrame(7, { code: 9, reason: "busy", isRetryable: true, retryAfterMs: 200 }));
    assert.deepEqual([answer.cmd, answer.rid, answer.flags], [Command.ERROR, 7, Flag.REPLY | Flag.ERROR]);
    const info = ErrorInfo.decode(answer.body);
    assert.deepEqual([info.code, info.reason, info.retryable, info.retryAfterMs], [9, "busy", true, 200]);
    assert.equal(read(errorFrame(0, { code: 10, reason: "x" })).flags, Flag.ERROR);
  });

  it("a disconnect says by its code whether to come back", () => {
    assert.equal(ErrorInfo.decode(read(disconnectFrame(0, 4001, "drained")).body).retryable, true);
    assert.equal(ErrorInfo.decode(read(disconnectFrame(1, 4510, "token")).body).retryable, false);
  });

  it("KICK and GOAWAY carry their fields", () => {
    const kick = { code: 4520, reason: "signed in elsewhere", byDevice: "iPhone", atMs: 1_700_000_000_000 };
    assert.deepEqual(Kick.decode(read(kickFrame(kick.code, kick.reason, kick.byDevice, kick.atMs)).body), kick);
    const goaway = Goaway.decode(read(goawayFrame("drain", 5, 9)).body);
    assert.deepEqual(goaway, { reason: "drain", minDelayMs: 5, maxDelayMs: 9, endpoints: [] });
    const hinted = Goaway.decode(read(goawayFrame("drain", 5, 9, ["a:443", "[::1]:8443"])).body);
    assert.deepEqual(hinted.endpoints, ["a:443", "[::1]:8443"]);
  });
});
