// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { addressOf, balancerOf, parseEndpoint } from "./endpoint.ts";

describe("parseEndpoint", () => {
  const taken: [string, object][] = [
    ["direct=im-1.example.com", { kind: "direct", host: "im-1.example.com", port: 443, weight: 1 }],
    ["list=192.0.2.1:8443", { kind: "list", host: "192.0.2.1", port: 8443, weight: 1 }],
    ["balancer=im.example.com*5", { kind: "balancer", host: "im.example.com", port: 443, weight: 5 }],
    ["direct=[2001:db8::1]:1*1000", { kind: "direct", host: "2001:db8::1", port: 1, weight: 1000 }],
    ["list=[::1]", { kind: "list", host: "::1", port: 443, weight: 1 }],
    ["list=a:65535*1", { kind: "list", host: "a", port: 65_535, weight: 1 }],
    [`list=${"a".repeat(253)}`, { kind: "list", host: "a".repeat(253), port: 443, weight: 1 }],
  ];
  for (const [text, endpoint] of taken) {
    it(text.slice(0, 40), () => assert.deepEqual(parseEndpoint(text), endpoint));
  }

  const refused = [
    ...["", "im.example.com", "direct", "direct=", "=a", "Direct=a", "other=a", "direct =a", "direct= a", "direct=a "],
    ...["direct=a:0", "direct=a:65536", "direct=a:99999", "direct=a:080", "direct=a:", "direct=a:-1", "direct=a:443:1"],
    ...["direct=a*0", "direct=a*1001", "direct=a*", "direct=a*1.5", "direct=a*-1", "direct=a*1*1", "direct=a*1:443"],
    ...[
      "direct=2001:db8::1",
      "direct=[2001:db8::1",
      "direct=[]",
      "direct=[x]",
      "direct=[::1]]",
      "direct=-a",
      "direct=a-",
    ],
    ...[
      "direct=a/b",
      "direct=user@a",
      "direct=https://a",
      "direct=a?b",
      "direct=a#b",
      "direct=a\\b",
      'direct=a"b',
      "direct=a\nb",
    ],
    ...[
      "direct=\u00e9.example",
      "direct=a_b",
      "direct=a,list=b",
      `direct=${"a".repeat(254)}`,
      "direct=.a",
      "direct=a.",
    ],
  ];
  for (const text of refused) {
    it(`refused: ${JSON.stringify(text).slice(0, 40)}`, () => assert.equal(parseEndpoint(text), undefined));
  }
});

it("an address is what stands in a URL", () => {
  for (const address of ["im.example.com:443", "192.0.2.1:1", "[2001:db8::1]:65535", "[:::]:443"]) {
    const endpoint = parseEndpoint(`list=${address}`);
    assert.equal(endpoint && addressOf(endpoint), address);
  }
});

describe("balancerOf", () => {
  it("is the host that was asked", () => {
    const of = (host: string, port: number) => ({ kind: "balancer", host, port, weight: 1 });
    assert.deepEqual(balancerOf("im.example.com"), of("im.example.com", 443));
    assert.deepEqual(balancerOf("127.0.0.1:8443"), of("127.0.0.1", 8443));
    assert.deepEqual(balancerOf("[::1]:8443"), of("::1", 8443));
  });

  it("is none when the header is none", () => {
    for (const host of [
      undefined,
      "",
      ":443",
      "a b",
      "a:0",
      "a:70000",
      "a/b",
      "a@b",
      '"',
      "<script>",
      "a, b",
      "a:443*9",
    ])
      assert.equal(balancerOf(host), undefined, host);
  });
});
