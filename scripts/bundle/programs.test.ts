// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import { bundledName, linkTarget, PROGRAMS, readFilesIn, SOURCE_FOLDERS } from "./programs.ts";

const NOT_OF_THE_IMAGE = /(^|\/)(testing|testdata|admin-page)\/|\.test\.ts$/;

describe("programs", () => {
  it("are all files that begin something when they are run", () => {
    const files = SOURCE_FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: PROJECT_ROOT }));
    const begins = (path: string): boolean =>
      /(^|[/-])main\.ts$/.test(path) || readFileSync(join(PROJECT_ROOT, path), "utf8").includes("import.meta.main");
    const found = files.filter((path) => !NOT_OF_THE_IMAGE.test(path) && begins(path));
    assert.deepEqual(
      [...PROGRAMS, "logic/migrate.ts"].sort(),
      [...found, "logic/migrate.ts", "logic/migrate.ts"].sort(),
    );
  });

  it("have files of their own, to which their links lead", () => {
    assert.equal(bundledName("logic/hooks/hooks-main.ts"), "logic-hooks-hooks-main.js");
    assert.equal(linkTarget("logic/logic.ts"), "../programs/logic-logic.js");
    assert.equal(linkTarget("logic/hooks/hooks-main.ts"), "../../programs/logic-hooks-hooks-main.js");
    assert.equal(new Set(PROGRAMS.map(bundledName)).size, PROGRAMS.length);
  });

  it("read scripts, statements, protocols, rights and pages, and no sources or documents", () => {
    const read = SOURCE_FOLDERS.flatMap((folder) => readFilesIn(folder));
    for (const path of [
      "logic/router/lua/purge.lua",
      "logic/redis-users.acl",
      "logic/admin-page/index.html",
      "logic/admin-page/main.js",
      "proto/im/client/v1/client.proto",
    ])
      assert.ok(read.includes(path), path);
    assert.ok(read.some((path) => /^logic\/store\/migrations\/.*\.sql$/.test(path)));
    assert.deepEqual(
      read.filter((path) => /\.(ts|md)$|testdata/.test(path)),
      [],
    );
  });
});
