// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { listen } from "#lib/listen.ts";
import { RawSocket } from "../../gateway/testing/raw-socket.ts";
import { isFinding } from "./checks.ts";
import { checkOfDrip, drip } from "./drips.ts";

const PHASE = { name: "a phase", limitMs: 10_000 };
const isRed = (shortestMs: number, longestMs: number, stillOpen = 0, waitedMs = 0): boolean =>
  isFinding(checkOfDrip("drips", PHASE, { shortestMs, longestMs, stillOpen }, waitedMs));

describe("slow drips", () => {
  it("are closed within the limit and a second", () => {
    assert.deepEqual([isRed(10_001, 10_900), isRed(9_800, 11_000), isRed(10_001, 11_001)], [false, false, true]);
    assert.equal(isRed(10_001, 11_500, 0, 600), false);
    assert.equal(isRed(10_001, Number.POSITIVE_INFINITY, 3), true);
  });

  it("that were refused at once prove nothing", () => assert.equal(isRed(20, 10_500), true));

  it("are measured on real sockets: those that a server closes, and those that it forgot", async () => {
    const forgetful = createServer((socket) => socket.on("error", () => undefined));
    const prompt = createServer((socket) => socket.end());
    try {
      // Each waits for 8 s more than its limit: short for the one that nobody ends, ample for the other.
      for (const [server, stillOpen, limitMs] of [
        [forgetful, 2, -7500],
        [prompt, 0, 30_000],
      ] as const) {
        const port = await listen(server, 0, "127.0.0.1");
        const dial = () => RawSocket.open(port);
        const figures = await drip({ name: "x", dial, first: "", rest: Buffer.alloc(1), limitMs }, 2);
        assert.equal(figures.stillOpen, stillOpen, server === prompt ? "prompt" : "forgetful");
        assert.equal(Number.isFinite(figures.longestMs), stillOpen === 0);
      }
    } finally {
      forgetful.close();
      prompt.close();
    }
  });
});
