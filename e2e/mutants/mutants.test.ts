// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MUTANTS } from "./list.ts";
import { applyEdit, applyMutant, PatchError } from "./mutant.ts";
import { ROOT } from "./sandbox.ts";

const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");

describe("mutants", () => {
  for (const mutant of MUTANTS) {
    it(`fits the tree: ${mutant.name}`, () => {
      const texts = applyMutant(mutant, read);
      assert.ok(texts.size > 0);
      for (const [file, text] of texts) assert.notEqual(text, read(file));
    });
  }

  it("have names of their own", () => {
    assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  });

  it("refuse an edit that fits no place or two", () => {
    const edit = { file: "x.ts", find: "a", replace: "b" };
    assert.equal(applyEdit("-a-", edit), "-b-");
    assert.throws(() => applyEdit("-", edit), PatchError);
    assert.throws(() => applyEdit("aa", edit), PatchError);
  });
});
