// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostPort, isHostPort } from "./host-port.ts";

it("hostPort puts IPv6 addresses, and nothing else, in brackets", () => {
  assert.equal(hostPort("10.0.0.1", 9443), "10.0.0.1:9443");
  assert.equal(hostPort("fd00::1", 9443), "[fd00::1]:9443");
  assert.equal(hostPort("entry.example", 443), "entry.example:443");
});

describe("isHostPort", () => {
  it("takes what hostPort writes, and names", () => {
    for (const text of [
      hostPort("10.0.0.1", 1),
      hostPort("::1", 65_535),
      hostPort("::ffff:1.2.3.4", 9443),
      "logic:7443",
    ]) {
      assert.equal(isHostPort(text), true, text);
    }
  });

  it("refuses the rest", () => {
    for (const text of [
      "",
      ":",
      ":1",
      "a",
      "a:",
      "a:0",
      "a:65536",
      "a:99999",
      "a:x",
      "::1:80",
      "[::1]",
      "\0:1",
      "a b:1",
      "a:1\n",
    ]) {
      assert.equal(isHostPort(text), false, JSON.stringify(text));
    }
  });
});
