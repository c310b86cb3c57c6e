// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Lease, LeaseSigner } from "./lease.ts";

const leaseArb: fc.Arbitrary<Lease> = fc.record(
  {
    deadlineMs: fc.nat(2 ** 47),
    conn: fc.nat(0xffffffff),
    nonce: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString("hex")),
    address: fc.constantFrom("10.0.0.1:9443", "[2001:db8::1]:9443", "entry.example:1"),
  },
  { noNullPrototype: true },
);
const lease: Lease = { deadlineMs: 1000, conn: 7, nonce: "0011223344556677", address: "10.0.0.1:9443" };

describe("LeaseSigner", () => {
  it("reads what it signed, up to the deadline", () => {
    fc.assert(
      fc.property(leaseArb, (wanted) => {
        const signer = new LeaseSigner(Buffer.from("secret"));
        const text = signer.sign(wanted);
        assert.match(text, /^[A-Za-z0-9_-]+$/);
        assert.deepEqual(signer.verify(text, wanted.deadlineMs), wanted);
        assert.equal(signer.verify(text, wanted.deadlineMs + 1), undefined);
      }),
    );
  });

  it("refuses every altered bit, every cut and every addition", () => {
    const signer = new LeaseSigner(Buffer.from("secret"));
    const bytes = Buffer.from(signer.sign(lease), "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes);
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.equal(signer.verify(altered.toString("base64url"), 0), undefined, `bit ${bit}`);
    }
    for (let end = 0; end < bytes.length; end++)
      assert.equal(signer.verify(bytes.subarray(0, end).toString("base64url"), 0), undefined);
    assert.equal(signer.verify(Buffer.concat([bytes, Buffer.alloc(1)]).toString("base64url"), 0), undefined);
  });

  it("refuses text that is no lease, whatever it is", () => {
    const signer = new LeaseSigner(Buffer.from("secret"));
    fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => signer.verify(text, 0) === undefined));
    for (const text of ["", "=", "a".repeat(100_000), signer.sign(lease) + "A".repeat(200)])
      assert.equal(signer.verify(text, 0), undefined);
  });

  it("accepts the key before, and no older one", () => {
    const [first, second, third] = ["one", "two", "three"].map((text) => Buffer.from(text));
    assert.ok(first && second && third);
    const signer = new LeaseSigner(first);
    const old = signer.sign(lease);
    signer.rotate(second);
    assert.deepEqual(signer.verify(old, 0), lease);
    assert.deepEqual(new LeaseSigner(second).verify(signer.sign(lease), 0), lease);
    // The same secret again is no rotation.
    signer.rotate(second);
    assert.deepEqual(signer.verify(old, 0), lease);
    signer.rotate(third);
    assert.equal(signer.verify(old, 0), undefined);
  });

  it("is the same for all who share the secret, and nobody else", () => {
    const text = new LeaseSigner(Buffer.from("shared")).sign(lease);
    assert.deepEqual(new LeaseSigner(Buffer.from("shared")).verify(text, 0), lease);
    assert.equal(new LeaseSigner(Buffer.from("other")).verify(text, 0), undefined);
    // Golden: entries of two versions serve one cluster during an upgrade.
    assert.equal(text, "AQAAAAAD6AAAAAcAESIzRFVmdzEwLjAuMC4xOjk0NDNQL_IJwDo_LdwsHmBayCeC");
  });
});
