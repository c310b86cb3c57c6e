// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isHarmless } from "./postgres-copy.ts";

describe("an online copy of a data directory", () => {
  it("may miss what the server removed, and its caches", () => {
    for (const complaint of [
      "cp: cannot stat '/d/base/5/pg_internal.init.77': No such file or directory",
      "cp: cannot open '/d/base/pgsql_tmp/x' for reading: No such file or directory",
      "cp: skipping file '/d/base/5/pg_internal.init', as it was replaced while being copied",
      "cp: skipping file '/d/global/pg_internal.init', as it was replaced while being copied",
    ])
      assert.equal(isHarmless(complaint), true, complaint);
  });

  it("may miss nothing else", () => {
    for (const complaint of [
      "cp: error writing '/d/base/5/2619': No space left on device",
      "cp: skipping file '/d/global/pg_filenode.map', as it was replaced while being copied",
      "cp: cannot open '/d/base/5/pg_internal.init' for reading: Permission denied",
    ])
      assert.equal(isHarmless(complaint), false, complaint);
  });
});
