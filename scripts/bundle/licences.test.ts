// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { licencesOf } from "./licences.ts";

const root = mkdtempSync(join(tmpdir(), "imc-licences-"));
after(() => rmSync(root, { recursive: true }));

function install(path: string, manifest: object, files: Record<string, string> = {}): string {
  mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, path, "package.json"), JSON.stringify(manifest));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, path, name), text);
  return path;
}

describe("licencesOf", () => {
  it("has name, version and licence of each package, with all texts that it brings", () => {
    const a = install(
      "node_modules/a",
      { name: "a", version: "1.2.3", license: "MIT" },
      { LICENSE: "Copyright A\r\n", "NOTICE.txt": "Noticed\n", "index.js": "secret" },
    );
    const b = install("node_modules/b", { name: "b", version: "2.0.0" }, { "licence.md": "Copyright B" });
    const text = licencesOf(root, [a, b]);
    assert.match(
      text,
      /\n\na 1\.2\.3 \(MIT\)\n\nCopyright A\n\nNoticed\n\n-+\n\nb 2\.0\.0 \(see below\)\n\nCopyright B\n$/,
    );
    assert.doesNotMatch(text, /secret|\r/);
  });

  it("fails for a folder without a package", () =>
    assert.throws(() => licencesOf(root, ["node_modules/c"]), /ENOENT.*node_modules\/c/));
});
