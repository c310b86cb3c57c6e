// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ensurePrograms, missingPrograms } from "./programs.ts";
import { silentProgress } from "./progress.ts";

describe("programs of this machine", () => {
  let dir = "";
  before(() => {
    dir = mkdtempSync(join(tmpdir(), "im-programs-"));
    writeFileSync(join(dir, "here"), "");
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  it("are looked for by name in the folders of PATH, or at their path", () => {
    const programs = { here: "a", gone: "b", [join(dir, "here")]: "a", [join(dir, "gone")]: "c" };
    assert.deepEqual(missingPrograms(programs, `/nope:${dir}`), ["gone", join(dir, "gone")]);
    assert.deepEqual(missingPrograms({ here: "a" }, ""), ["here"]);
  });

  it("are nobody's business when they are there, whatever installed them", async () => {
    await ensurePrograms({ [join(dir, "here")]: "im-no-such-package" }, { progress: silentProgress });
  });
});
