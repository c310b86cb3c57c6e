// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { hostPort } from "./host-port.ts";

it("hostPort puts IPv6 addresses, and nothing else, in brackets", () => {
  assert.equal(hostPort("10.0.0.1", 9443), "10.0.0.1:9443");
  assert.equal(hostPort("fd00::1", 9443), "[fd00::1]:9443");
  assert.equal(hostPort("entry.example", 443), "entry.example:443");
});
