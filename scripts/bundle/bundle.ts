// SPDX-License-Identifier: Apache-2.0
// Makes of the sources and of the packages that they use what the image runs: one file per program and some that they share, without types,
// comments and code that nobody calls (docs/adr/0065-programs-are-bundled.md).
import { readFile } from "node:fs/promises";
import { dirname, relative } from "node:path";
import type { Metafile, OutputFile, Plugin } from "esbuild";
import * as esbuild from "esbuild";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import { bundledName, PROGRAM_FOLDER, PROGRAMS } from "./programs.ts";

/** What packages ask for and do without: native code, and colours for a terminal. */
const ABSENT = ["bufferutil", "pg-native", "supports-color", "utf-8-validate"];

/** Its index loads all it has, tar and FormData among it; none of its modules does anything but define. */
const WITHOUT_EFFECTS = "node_modules/@kubernetes/client-node/";

/** Packages that are CommonJS ask for Node's modules this way. */
const REQUIRE =
  'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';

/**
 * A module's source, so that files which it finds from its own place are found from the programs' folder, too.
 * @param path of the source, below the root
 */
export function placed(source: string, path: string): string {
  return source
    .replaceAll("import.meta.url", `new URL(${JSON.stringify(`../${path}`)}, import.meta.url).href`)
    .replaceAll("import.meta.dirname", `(import.meta.dirname + ${JSON.stringify(`/../${dirname(path)}`)})`);
}

const placedSources: Plugin = {
  name: "placed-sources",
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const inTree = relative(PROJECT_ROOT, path);
      if (inTree.startsWith("node_modules/")) return undefined;
      return { contents: placed(await readFile(path, "utf8"), inTree), loader: "ts" };
    });
  },
};

const withoutEffects: Plugin = {
  name: "without-effects",
  setup({ onResolve, resolve }) {
    onResolve({ filter: /./ }, async ({ path, pluginData, importer, ...from }) => {
      if (pluginData === withoutEffects || !importer.includes(WITHOUT_EFFECTS)) return undefined;
      const { resolveDir, kind } = from;
      const resolved = await resolve(path, { resolveDir, kind, importer, pluginData: withoutEffects });
      return { ...resolved, sideEffects: false };
    });
  },
};

/** JavaScript in ASCII: one other character in a file, and V8 keeps all of it with two bytes each. Of texts it is done; of patterns it is left. */
export function escaped(source: string): string {
  return source.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The programs as they are shipped. */
export interface Bundle {
  /** Below {@link PROGRAM_FOLDER}: name and content. Sorted by name. */
  readonly files: readonly { readonly name: string; readonly content: Uint8Array }[];
  /** Folders of the packages that some of it comes from, as in package-lock.json: `node_modules/pg`. Sorted. */
  readonly packages: readonly string[];
}

/** Folders of packages, e.g. `node_modules/a/node_modules/b`, of which at least a byte is in an output. Sorted. */
export function packagesIn(outputs: Metafile["outputs"]): string[] {
  const found = new Set<string>();
  for (const { inputs } of Object.values(outputs))
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
      if (folder !== undefined && bytesInOutput > 0) found.add(folder);
    }
  return [...found].sort();
}

const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);

function build(programs: readonly string[]) {
  return esbuild.build({
    absWorkingDir: PROJECT_ROOT,
    entryPoints: programs.map((program) => ({ in: program, out: bundledName(program).replace(/\.js$/, "") })),
    chunkNames: "shared-[hash]",
    outdir: PROGRAM_FOLDER,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    // Names stay and lines are short: an error's stack is of use, and Node prints the line that threw.
    minifyWhitespace: true,
    lineLimit: 120,
    minifySyntax: true,
    legalComments: "none",
    banner: { js: REQUIRE },
    external: ABSENT,
    plugins: [placedSources, withoutEffects],
    metafile: true,
    write: false,
    logLevel: "warning",
  });
}

/**
 * Bundles programs, in memory; without a list those of the image. The same sources give the same bytes.
 * @throws when the sources do not bundle
 */
export async function bundlePrograms(programs: readonly string[] = PROGRAMS): Promise<Bundle> {
  try {
    const { outputFiles, metafile } = await build(programs);
    const nameOf = ({ path }: OutputFile): string => relative(`${PROJECT_ROOT}/${PROGRAM_FOLDER}`, path);
    const files = outputFiles.map((file) => ({ name: nameOf(file), content: Buffer.from(escaped(file.text)) }));
    return { files: files.sort(byName), packages: packagesIn(metafile.outputs) };
  } finally {
    await esbuild.stop();
  }
}
