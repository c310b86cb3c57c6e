// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { cacheRoot } from "./paths.ts";

describe("the cache folder", () => {
  it("is below the home folder, or where IMCLUSTER_CACHE says", () => {
    assert.equal(cacheRoot({}, "/home/a b"), "/home/a b/.cache/imcluster");
    assert.equal(cacheRoot({ IMCLUSTER_CACHE: "/c" }, "/home/a"), "/c");
  });

  it("is below the user's home folder when HOME is set to nothing, not where we happen to be", () =>
    assert.equal(cacheRoot({}, ""), join(userInfo().homedir, ".cache", "imcluster")));
});
