// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { entryMark, LEASE_BYTES, type Lease, LeaseSigner } from "./lease.ts";

const signer = new LeaseSigner(Buffer.alloc(32, 1));
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const leaseArb: fc.Arbitrary<Lease> = fc.record(
  { deadline: fc.integer({ min: 1, max: 2 ** 48 - 1 }), entry: u32, generation: u32 },
  { noNullPrototype: true },
);
/** Bounds in which this lease counts. */
const around = ({ deadline }: Lease) => ({ now: deadline - 1, maxAhead: 10 });

describe("LeaseSigner", () => {
  it("reads what it signed", () => {
    fc.assert(
      fc.property(leaseArb, (lease) => {
        const bytes = signer.sign(lease);
        assert.equal(bytes.length, LEASE_BYTES);
        const { entry, generation } = lease;
        assert.deepEqual(signer.verify(bytes, { ...around(lease), entry, generation }), { kind: "ok", lease });
      }),
    );
  });

  it("any changed bit makes it worthless", () => {
    fc.assert(
      fc.property(leaseArb, fc.nat(LEASE_BYTES * 8 - 1), (lease, bit) => {
        const bytes = signer.sign(lease);
        const at = bit >> 3;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
        assert.equal(signer.verify(bytes, { now: 0, maxAhead: 2 ** 48 }).kind, "forged");
      }),
    );
  });

  it("never throws, and takes no bytes that it did not sign", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const { kind } = signer.verify(bytes, { now: 0, maxAhead: 2 ** 48 });
        assert.equal(kind, bytes.length === LEASE_BYTES ? "forged" : "malformed");
      }),
    );
  });

  it("says what a good signature does not make up for", () => {
    const lease = { deadline: 1000, entry: 7, generation: 9 };
    const bytes = signer.sign(lease);
    const kindOf = (bounds: Parameters<LeaseSigner["verify"]>[1]): string => signer.verify(bytes, bounds).kind;
    assert.equal(kindOf({ now: 999, maxAhead: 1 }), "ok");
    assert.equal(kindOf({ now: 1000, maxAhead: 1 }), "expired");
    assert.equal(kindOf({ now: 998, maxAhead: 1 }), "too_far");
    assert.equal(kindOf({ now: 999, maxAhead: 1, entry: 8 }), "foreign");
    assert.equal(kindOf({ now: 999, maxAhead: 1, entry: 7, generation: 10 }), "foreign");
  });

  it("a lease of another key counts for nothing, and a short key is refused", () => {
    const other = new LeaseSigner(Buffer.alloc(32, 2));
    const bytes = other.sign({ deadline: 5, entry: 1, generation: 1 });
    assert.equal(signer.verify(bytes, { now: 1, maxAhead: 10 }).kind, "forged");
    assert.throws(() => new LeaseSigner(Buffer.alloc(31)), RangeError);
  });

  it("the signature is HMAC-SHA256, cut to 8 bytes", () => {
    fc.assert(
      fc.property(leaseArb, fc.uint8Array({ minLength: 32, maxLength: 64 }), (lease, key) => {
        const bytes = new LeaseSigner(key).sign(lease);
        const mac = createHmac("sha256", key).update("im/1 lease\0").update(bytes.subarray(0, 14)).digest();
        assert.deepEqual(bytes.subarray(14), mac.subarray(0, 8));
      }),
    );
  });

  it("the layout is a contract", () => {
    const bytes = signer.sign({ deadline: 0x0102_0304_0506, entry: 0x0a0b_0c0d, generation: 0x0f10_1112 });
    assert.equal(bytes.subarray(0, 14).toString("hex"), "0102030405060a0b0c0d0f101112");
    assert.equal(entryMark("pod.1"), entryMark("pod.1"));
    assert.notEqual(entryMark("pod.1"), entryMark("pod.2"));
  });
});
