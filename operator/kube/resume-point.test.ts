// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ResumePoint } from "./resume-point.ts";

test("a list is a safe place, its newest event is not yet", () => {
  const point = new ResumePoint("100");
  assert.deepEqual([point.safe, point.newest], ["100", "100"]);
  point.advance("110", 1_000);
  point.advance("105", 1_001);
  point.advance("112", 5_999);
  assert.deepEqual([point.safe, point.newest], ["100", "112"]);
  point.advance("120", 6_000);
  assert.deepEqual([point.safe, point.newest], ["110", "120"]);
  point.advance("130", 600_000);
  assert.deepEqual([point.safe, point.newest], ["120", "130"], "what was newest for long");
});

test("versions without an order are taken as they come", () => {
  const point = new ResumePoint("b");
  point.advance("a", 0);
  assert.equal(point.newest, "a");
});

test("what was overtaken by less than 5 s lies above the safe place, whenever the connection is cut", () => {
  const event = fc.record({ atMs: fc.integer({ min: 0, max: 60_000 }), delayMs: fc.integer({ min: 0, max: 4_999 }) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.integer({ min: 0, max: 65_000 }), (events, cutMs) => {
      const sent = events
        .sort((a, b) => a.atMs - b.atMs)
        .map(({ atMs, delayMs }, index) => ({ version: 101 + index, arrivesMs: atMs + delayMs }));
      const point = new ResumePoint("100");
      const arrived = sent.filter(({ arrivesMs }) => arrivesMs < cutMs).sort((a, b) => a.arrivesMs - b.arrivesMs);
      for (const { version, arrivesMs } of arrived) point.advance(String(version), arrivesMs);
      const missed = sent.filter((one) => !arrived.includes(one));
      for (const { version } of missed) assert.ok(version > Number(point.safe), `${version} is lost`);
    }),
    { numRuns: 1_000 },
  );
});
