// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import type { RideFigures } from "../elevator/ride.ts";
import { runMain } from "./run-main.ts";

const MAIN = join(import.meta.dirname, "../elevator/main.ts");

it("two people whose networks vanish in turn while both write lose nothing, get nothing twice, and keep the order", async () => {
  const { code, lastLine } = await runMain(MAIN, ["--cuts", "5,14"]);
  assert.equal(code, 0, lastLine);
  const { cuts, sent, acked, shown, lost, duplicated, reordered } = JSON.parse(lastLine) as RideFigures;
  assert.deepEqual({ cuts, lost, duplicated, reordered }, { cuts: 2, lost: 0, duplicated: 0, reordered: 0 });
  assert.ok(sent > 100 && acked === sent && shown === sent, lastLine);
});
