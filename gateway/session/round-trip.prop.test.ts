// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { RoundTrip } from "./round-trip.ts";

/** Feeds samples as a client would, whose answers take `rttMs` and are held for half a minute. */
function measured(...samplesMs: number[]): RoundTrip {
  const trip = new RoundTrip();
  let nowMs = 1000;
  let rid = 0;
  for (const rttMs of samplesMs) {
    trip.mark(++rid, nowMs);
    nowMs += 30_000 + rttMs;
    trip.heard(rid, 30_000, nowMs);
  }
  return trip;
}

function audience() {
  const told: RecordInput[] = [];
  return { told, attaches: 1, tellAll: (record: RecordInput) => void told.push(record) };
}

describe("RoundTrip", () => {
  it("is smoothed as RFC 6298 says", () => {
    assert.equal(measured().timeoutMs, 0);
    assert.equal(measured(100).timeoutMs, 100 + 4 * 50);
    // srtt 100, 100 - 1/4 of 50; then 112.5 and 37.5 + 1/4 (100 - 37.5).
    assert.equal(measured(100, 100).timeoutMs, 100 + 4 * 37.5);
    assert.equal(measured(100, 100, 200).timeoutMs, Math.round(112.5 + 4 * 53.125));
    assert.equal(measured(0).timeoutMs, 10, "at least the granularity: 0 means unknown");
  });

  it("a steady way is known to within a few ms after some minutes, and a sudden delay shows at once", () => {
    const steady = Array.from({ length: 30 }, () => 80);
    assert.ok(measured(...steady).timeoutMs <= 95);
    assert.ok(measured(...steady, 3000).timeoutMs > 3000);
  });

  it("stays within its bounds whatever a client says", () => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    const said = fc.record({ rid: fc.nat(3), heldMs: fc.oneof(fc.nat(40_000), u32), afterMs: fc.nat(100_000) });
    fc.assert(
      fc.property(fc.array(said), (all) => {
        const trip = new RoundTrip();
        let nowMs = 0;
        for (const [at, { rid, heldMs, afterMs }] of all.entries()) {
          trip.mark(at % 4, nowMs);
          nowMs += afterMs;
          const sampleMs = trip.heard(rid, heldMs, nowMs);
          assert.ok(sampleMs >= -1 && sampleMs <= 15_000);
          assert.ok(trip.timeoutMs >= 0 && trip.timeoutMs <= 10_000 && Number.isInteger(trip.timeoutMs));
        }
      }),
    );
  });

  it("counts an answer once, and no other answer than the last", () => {
    const trip = new RoundTrip();
    trip.mark(5, 0);
    assert.equal(trip.heard(4, 10, 100), -1);
    assert.equal(trip.heard(5, 10, 100), 90);
    assert.equal(trip.heard(5, 10, 100), -1);
    trip.mark(0, 0);
    assert.equal(trip.heard(0, 0, 50), -1, "a PING without a number has no answer to tell of");
  });

  it("a clock that runs a little fast is no fault, one that runs wild is", () => {
    const trip = new RoundTrip();
    trip.mark(1, 1000);
    assert.equal(trip.heard(1, 30_050, 31_000), 0);
    trip.mark(2, 1000);
    assert.equal(trip.heard(2, 30_051, 31_000), -1);
    trip.mark(3, 1000);
    assert.equal(trip.heard(3, 0, 16_001), -1, "it slept");
  });

  it("tells what is notable, to all when there are others, and takes back what it told", () => {
    const logics = audience();
    const trip = measured(100);
    trip.tell(logics, 7);
    trip.tell(logics, 7);
    assert.deepEqual(logics.told, [{ kind: RecordKind.ROUND_TRIP, conn: 7, aux: 300 }]);
    logics.attaches++;
    trip.tell(logics, 7);
    assert.equal(logics.told.length, 2);
    trip.forget(logics, 7);
    trip.forget(logics, 7);
    assert.deepEqual(logics.told.slice(2), [{ kind: RecordKind.ROUND_TRIP, conn: 7, aux: 0 }]);
  });

  it("tells nothing while nothing is known", () => {
    const logics = audience();
    const trip = new RoundTrip();
    trip.tell(logics, 7);
    trip.forget(logics, 7);
    assert.deepEqual(logics.told, []);
  });
});
