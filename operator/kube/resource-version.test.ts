// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { compareVersions } from "./resource-version.ts";

test("decimal versions are ordered as numbers, of any length", () => {
  const sign = (a: string, b: string): number | undefined => {
    const order = compareVersions(a, b);
    return order === undefined ? undefined : Math.sign(order);
  };
  assert.equal(sign("9", "10"), -1);
  assert.equal(sign("10", "9"), 1);
  assert.equal(sign("10", "10"), 0);
  assert.equal(sign("123456789012345678901", "123456789012345678902"), -1);
});

test("other versions are equal or unknown", () => {
  assert.equal(compareVersions("a", "a"), 0);
  assert.equal(compareVersions("a", "b"), undefined);
  assert.equal(compareVersions("", "1"), undefined);
});
