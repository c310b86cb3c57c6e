// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** The core, and the models of the chat with what they share with the core. */
const BUNDLES = [
  ["index.ts", 16 * 1024],
  ["models/index.ts", 16 * 1024],
] as const;

for (const [entryPoint, maxGzipBytes] of BUNDLES)
  it(`the browser bundle of ${entryPoint} is at most ${maxGzipBytes} bytes of gzip and needs nothing`, async (t) => {
    const { outputFiles, metafile } = await build({
      entryPoints: [fileURLToPath(new URL(entryPoint, import.meta.url))],
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      target: "es2022",
      write: false,
      metafile: true,
    });
    const code = outputFiles[0]?.contents ?? new Uint8Array();
    const bytes = gzipSync(code, { level: 9 }).length;
    t.diagnostic(`${code.length} bytes, ${bytes} of gzip`);
    assert.ok(code.length > 0 && bytes <= maxGzipBytes, `${bytes} bytes`);
    const inputs = Object.keys(metafile.inputs);
    assert.ok(!inputs.some((path) => /node_modules|tcp\.ts|node\.ts/.test(path)), inputs.join());
    const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
    assert.deepEqual(imports, []);
    assert.doesNotMatch(new TextDecoder().decode(code), /["']node:/);
  });
