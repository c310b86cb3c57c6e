// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { SilentSeqs } from "./silent-seqs.ts";

it("remembers the last ten thousand, by user and position", () => {
  const seqs = new SilentSeqs();
  seqs.add("bob", 1);
  assert.deepEqual([seqs.has("bob", 1), seqs.has("bob", 11), seqs.has("alice", 1)], [true, false, false]);
  for (let seq = 2; seq <= 10_000; seq++) seqs.add("bob", seq);
  assert.ok(seqs.has("bob", 1));
  seqs.add("bob", 10_001);
  assert.deepEqual([seqs.has("bob", 1), seqs.has("bob", 2), seqs.has("bob", 10_001)], [false, true, true]);
});
