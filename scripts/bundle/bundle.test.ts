// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Bundle, bundlePrograms, escaped, packagesIn, placed } from "./bundle.ts";

describe("placed", () => {
  it("lets a module find from the programs' folder what it finds from its own", () => {
    const source = 'const lua = new URL("lua/purge.lua", import.meta.url), folder = import.meta.dirname;';
    const [lua, folder] = evaluate(placed(source, "logic/router/purge.ts"), "[lua.href, folder]");
    assert.deepEqual([lua, folder], ["file:///app/logic/router/lua/purge.lua", "/app/programs/../logic/router"]);
  });

  it("leaves alone whether a module is the program", () =>
    assert.equal(placed("if (import.meta.main) main();", "a.ts"), "if (import.meta.main) main();"));

  /** What some code says when it stands in /app/programs. */
  function evaluate(code: string, result: string): unknown[] {
    const inFolder = code
      .replaceAll("import.meta.url", '"file:///app/programs/x.js"')
      .replaceAll("import.meta.dirname", '"/app/programs"');
    return new Function(`${inFolder} return ${result};`)() as unknown[];
  }
});

describe("escaped", () => {
  it("is ASCII, and means the same in patterns, with the u flag and without", () => {
    const unit = fc.constantFrom("微", "é", "\u2028", "ﬀ", "a", "7");
    fc.assert(
      fc.property(fc.array(unit, { minLength: 1, maxLength: 8 }), (units) => {
        for (const flags of ["", "u", "v"]) {
          const source = `/^[${units.join("")}]+$/${flags}`;
          const code = escaped(source);
          assert.match(code, /^[\x20-\x7e]+$/);
          const pattern = new Function(`return ${code};`)() as RegExp;
          for (const each of units) assert.ok(pattern.test(each), `${source} as ${code}: ${each}`);
          assert.ok(!pattern.test("微é!"));
        }
      }),
    );
  });

  it("keeps a pair of surrogates together where the u flag counts it as one", () =>
    assert.ok((new Function(`return ${escaped("/^[😀]$/u")};`)() as RegExp).test("😀")));
});

describe("packagesIn", () => {
  it("names the folders of packages of which something is left, nested ones too", () => {
    const inputs = {
      "logic/logic.ts": { bytesInOutput: 9 },
      "node_modules/pg/lib/index.js": { bytesInOutput: 9 },
      "node_modules/pg/lib/client.js": { bytesInOutput: 9 },
      "node_modules/@grpc/grpc-js/build/src/a.js": { bytesInOutput: 9 },
      "node_modules/a/node_modules/@b/c/d.js": { bytesInOutput: 9 },
      "node_modules/gone/index.js": { bytesInOutput: 0 },
    };
    const output = { bytes: 9, inputs, imports: [], exports: [] };
    assert.deepEqual(packagesIn({ "programs/a.js": output }), [
      "node_modules/@grpc/grpc-js",
      "node_modules/a/node_modules/@b/c",
      "node_modules/pg",
    ]);
  });
});

describe("bundlePrograms", () => {
  const digests = ({ files }: Bundle): string[] =>
    files.map(({ name, content }) => `${name} ${createHash("sha256").update(content).digest("hex")}`);

  it("gives the same bytes every time, in ASCII, without test code or long lines of ours", async () => {
    const first = await bundlePrograms();
    const second = await bundlePrograms();
    assert.deepEqual(digests(second), digests(first));
    assert.deepEqual(second.packages, first.packages);
    for (const { name, content } of first.files) {
      const text = Buffer.from(content).toString("latin1");
      assert.doesNotMatch(text, /[^\0-\x7f]/, name);
      assert.doesNotMatch(text, /from ?"node:test"|fast-check/, name);
    }
    assert.ok(first.packages.includes("node_modules/pg"));
    for (const unused of ["form-data", "tar-fs", "yargs", "supports-color"])
      assert.ok(!first.packages.includes(`node_modules/${unused}`), unused);
  });
});
