// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { proxyHeader } from "../testing/proxy-header.ts";
import { AddressRanges, readProxyHeader } from "./proxy.ts";

const TCP4 = proxyHeader({ address: "203.0.113.7" });
const TCP6 = proxyHeader({ address: "2001:db8::7" });

describe("PROXY protocol v2", () => {
  it("tells the address of the client, and how many bytes it took", () => {
    assert.deepEqual(readProxyHeader(TCP4), { kind: "header", bytes: 28, address: "203.0.113.7" });
    assert.deepEqual(readProxyHeader(TCP6), { kind: "header", bytes: 52, address: "2001:db8:0:0:0:0:0:7" });
    const mapped = proxyHeader({ address: "::ffff:203.0.113.7" });
    assert.deepEqual(readProxyHeader(mapped), { kind: "header", bytes: 52, address: "203.0.113.7" });
  });

  it("leaves what follows, whatever it is", () => {
    const both = Buffer.concat([TCP4, Buffer.from("GET / HTTP/1.1")]);
    assert.deepEqual(readProxyHeader(both), { kind: "header", bytes: 28, address: "203.0.113.7" });
  });

  it("skips extensions, up to 536 bytes in all", () => {
    const header = (extra: number): Buffer =>
      proxyHeader({ address: "203.0.113.7", extensions: Buffer.alloc(extra, 4) });
    assert.deepEqual(readProxyHeader(header(508)), { kind: "header", bytes: 536, address: "203.0.113.7" });
    assert.deepEqual(readProxyHeader(header(509)), { kind: "bad" });
    assert.deepEqual(readProxyHeader(header(60_000).subarray(0, 16)), { kind: "bad" }, "before any of it came");
  });

  it("takes LOCAL and unknown families as the proxy itself", () => {
    for (const header of [
      proxyHeader({ command: 0x20, family: 0 }),
      proxyHeader({ command: 0x20, family: 0x11, address: "203.0.113.7" }),
      proxyHeader({ command: 0x20, family: 0x77 }),
      proxyHeader({ family: 0 }),
    ]) {
      assert.deepEqual(readProxyHeader(header), { kind: "header", bytes: header.length, address: undefined });
    }
  });

  const bad: Readonly<Record<string, Buffer>> = {
    "version 1": Buffer.from("PROXY TCP4 203.0.113.7 203.0.113.1 1 2\r\n"),
    "a TLS hello": Buffer.from("16030100a5010000a1", "hex"),
    "an HTTP request": Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    "the signature with a last byte that is wrong": Buffer.from("0d0a0d0a000d0a515549540b", "hex"),
    "version 3": proxyHeader({ command: 0x31, address: "203.0.113.7" }),
    "version 0": proxyHeader({ command: 0x01, address: "203.0.113.7" }),
    "command 2": proxyHeader({ command: 0x22, address: "203.0.113.7" }),
    "UDP over IPv4": proxyHeader({ family: 0x12, address: "203.0.113.7" }),
    "UDP over IPv6": proxyHeader({ family: 0x22, address: "2001:db8::7" }),
    "a Unix socket": proxyHeader({ family: 0x31, body: Buffer.alloc(216) }),
    "a family that does not exist": proxyHeader({ family: 0x41, body: Buffer.alloc(12) }),
    "IPv4 without addresses": proxyHeader({ family: 0x11, body: Buffer.alloc(0) }),
    "IPv4 that is a byte short": proxyHeader({ family: 0x11, body: Buffer.alloc(11) }),
    "IPv6 that is a byte short": proxyHeader({ family: 0x21, body: Buffer.alloc(35) }),
  };
  for (const [what, bytes] of Object.entries(bad)) {
    it(`refuses ${what}`, () => assert.deepEqual(readProxyHeader(bytes), { kind: "bad" }));
  }

  it("asks for more until it is whole, and never changes its mind", () => {
    for (const header of [TCP4, TCP6, ...Object.values(bad)]) {
      const verdict = readProxyHeader(header);
      let isBad = false;
      for (let length = 0; length <= header.length; length++) {
        const early = readProxyHeader(header.subarray(0, length));
        if (verdict.kind === "header") assert.equal(early.kind, length < header.length ? "more" : "header");
        else if (isBad) assert.equal(early.kind, "bad");
        isBad = early.kind === "bad";
      }
    }
  });

  it("reads any bytes without a fault", () => {
    const signature = TCP4.subarray(0, 12);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, isSigned) => {
        const header = readProxyHeader(Buffer.concat(isSigned ? [signature, bytes] : [bytes]));
        if (header.kind === "header") assert.ok(header.bytes >= 16 && header.bytes <= 536);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("address ranges", () => {
  it("hold what lies in them, of both families", () => {
    const ranges = new AddressRanges(["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]);
    for (const address of ["10.0.0.1", "10.255.255.255", "192.0.2.7", "fd12::1"])
      assert.ok(ranges.has(address), address);
    for (const address of ["11.0.0.1", "192.0.2.8", "fe80::1", "", "nonsense"])
      assert.ok(!ranges.has(address), address);
    assert.ok(!new AddressRanges([]).has("10.0.0.1"));
  });

  for (const cidr of [
    "10.0.0.0",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0/8",
    "fd00::/129",
    "x/8",
    "10.0.0.0/-1",
    "10.0.0.0/8x",
  ]) {
    it(`refuse ${cidr}`, () => assert.throws(() => new AddressRanges([cidr]), RangeError));
  }
});
