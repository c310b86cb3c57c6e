// SPDX-License-Identifier: Apache-2.0
// Bundles the demo page into a folder: index.html, app.js, style.css, favicon.svg. node examples/chat/build.ts OUTDIR
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const STATIC_FILES = ["index.html", "style.css", "favicon.svg"];
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** Writes the page into `outDir`, which is made if it is missing. @throws when the sources do not bundle. */
export async function buildDemo(outDir: string): Promise<void> {
  mkdirSync(outDir, { recursive: true });
  await build({
    entryPoints: [here("main.ts")],
    outfile: join(outDir, "app.js"),
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    charset: "utf8",
    logLevel: "warning",
  });
  for (const file of STATIC_FILES) copyFileSync(here(file), join(outDir, file));
}

if (import.meta.main) {
  const [outDir, ...more] = process.argv.slice(2);
  if (outDir === undefined || outDir.startsWith("-") || more.length > 0) {
    console.error("usage: node examples/chat/build.ts OUTDIR");
    process.exit(2);
  }
  await buildDemo(outDir);
}
