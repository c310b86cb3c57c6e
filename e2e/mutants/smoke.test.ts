// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { MUTANTS } from "./list.ts";
import { judge } from "./main.ts";
import { Sandbox } from "./sandbox.ts";

/** `make mutants` tries them all. */
const TRIED = ["no unique key", "timestamp cursor", "watermark moved when the page leaves"];

describe("planted bugs", () => {
  const sandbox = new Sandbox();
  after(() => sandbox.remove());

  for (const name of TRIED) {
    it(`is noticed by the simulation: ${name}`, async () => {
      const mutant = MUTANTS.find((one) => one.name === name);
      assert.ok(mutant);
      const { caughtBy } = await judge(sandbox, mutant, 200);
      assert.match(caughtBy, /^sim: C\d+/);
    });
  }
});
