// SPDX-License-Identifier: Apache-2.0
// The programs as the image has them, each started without any configuration.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { bundlePrograms } from "./bundle.ts";
import { PROGRAMS } from "./programs.ts";
import { LICENCES_FILE, writeBundle } from "./write.ts";

const folder = mkdtempSync(join(tmpdir(), "imc-programs-"));
const bundle = await bundlePrograms();
writeBundle(bundle, folder);
after(() => rmSync(folder, { recursive: true }));

/** What each says when nothing is configured and nobody asked for anything. */
const COMPLAINT = /is required; set it to|^usage: |no cluster|KUBECONFIG|ENOENT|ECONNREFUSED/m;

describe("the folder of the programs", () => {
  for (const program of PROGRAMS)
    it(`has ${program}, which starts and says what it misses`, () => {
      assert.ok(lstatSync(join(folder, program)).isSymbolicLink());
      const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
        cwd: folder,
        env: { HOME: folder },
        encoding: "utf8",
        timeout: 60_000,
      });
      assert.ok(status !== 0 && status !== null, `${program} ended with ${status}`);
      assert.match(`${stdout}${stderr}`, COMPLAINT);
      assert.doesNotMatch(`${stdout}${stderr}`, /ERR_MODULE_NOT_FOUND|Cannot find module|is not defined/);
    });

  it("has no sources, and says which version it is", () => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((item) => item.isFile());
    assert.deepEqual(
      files.filter(({ name }) => name.endsWith(".ts")).map(({ name }) => name),
      [],
    );
    const { version, type, dependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<
      string,
      unknown
    >;
    assert.match(String(version), /^\d+\.\d+\.\d+/);
    assert.deepEqual([type, dependencies], ["module", undefined]);
  });

  it("has the licence of every package of which it has code", () => {
    const text = readFileSync(join(folder, LICENCES_FILE), "utf8");
    for (const path of bundle.packages) {
      const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
      assert.ok(text.includes(`\n\n${name} `), name);
    }
  });

  it("is not written twice", () => assert.throws(() => writeBundle(bundle, folder), /EEXIST/));
});
