// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type BroadcastTarget, readBroadcast, writeBroadcast } from "./broadcast-record.ts";

const target: fc.Arbitrary<BroadcastTarget> = fc.oneof(
  fc.record({ tenant: fc.stringMatching(/^[a-z0-9-]{0,32}$/) }, { noNullPrototype: true }),
  fc.record(
    { conns: fc.array(fc.nat({ max: 0xffff_ffff }), { minLength: 1, maxLength: 20 }) },
    { noNullPrototype: true },
  ),
);

describe("a record BROADCAST", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(target, fc.uint8Array({ maxLength: 50 }), (to, body) => {
        const read = readBroadcast(writeBroadcast(to, body));
        assert.deepEqual(read?.target, to);
        assert.deepEqual(Uint8Array.from(read?.body ?? []), body);
      }),
    );
  });

  it("is refused when it is cut off, or has no target", () => {
    const { conn, body } = writeBroadcast({ conns: [1, 2, 3] }, new Uint8Array(0));
    assert.equal(readBroadcast({ conn, body: body.subarray(0, 11) }), undefined);
    assert.equal(readBroadcast({ conn: 0, body: new Uint8Array(0) }), undefined);
    assert.equal(readBroadcast({ conn: 0, body: Uint8Array.of(3, 97, 98) }), undefined);
    assert.throws(() => writeBroadcast({ conns: [] }, body), RangeError);
    assert.throws(() => writeBroadcast({ tenant: "x".repeat(300) }, body), RangeError);
  });
});
