// SPDX-License-Identifier: Apache-2.0
// `kubectl im` as a package of npm that has no others: the bundled program, the protocol that `doctor` speaks, and the chart that `install generate` renders.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundlePrograms } from "../bundle/bundle.ts";
import { bundledName, PLUGIN_PROGRAMS, PROGRAM_FOLDER } from "../bundle/programs.ts";
import { copyReadFiles, writeManifest, writePrograms } from "../bundle/write.ts";
import { run } from "../cluster/command.ts";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import type { RunContext } from "../cluster/progress.ts";

const CHART = "charts/im-operator";
const PACK_TIMEOUT_MS = 60_000;
const BIN_FOLDER = "bin";
const OLDEST_NODE = [24, 12] as const;

/** An older Node would stop somewhere in a library, and say nothing of use. It has to understand this, so this is plain. */
function launcherOf(program: string): string {
  const [major, minor] = OLDEST_NODE;
  return `#!/usr/bin/env node
const [major, minor] = process.versions.node.split(".").map(Number);
if (major > ${major} || (major === ${major} && minor >= ${minor})) await import("../${PROGRAM_FOLDER}/${bundledName(program)}");
else {
  console.error(\`error: kubectl im needs Node.js ${major}.${minor} or newer, and this is \${process.versions.node} (\${process.execPath})\\nInstall one (https://nodejs.org), or put it first on PATH.\`);
  process.exit(1);
}
`;
}

function writeLauncher(folder: string, name: string, program: string): string {
  mkdirSync(join(folder, BIN_FOLDER), { recursive: true });
  writeFileSync(join(folder, BIN_FOLDER, `${name}.js`), launcherOf(program), { mode: 0o755 });
  return `${BIN_FOLDER}/${name}.js`;
}

/** Writes into a folder what the package has. @throws when a program is there already */
export async function writePlugin(folder: string): Promise<void> {
  writePrograms(await bundlePrograms(Object.values(PLUGIN_PROGRAMS)), folder);
  copyReadFiles(["proto"], folder);
  cpSync(join(PROJECT_ROOT, CHART), join(folder, CHART), { recursive: true });
  writeManifest(folder, {
    name: "kubectl-im",
    description: "kubectl im: looks after ImClusters from a terminal",
    engines: { node: `>=${OLDEST_NODE.join(".")}` },
    bin: Object.fromEntries(
      Object.entries(PLUGIN_PROGRAMS).map(([name, program]) => [name, writeLauncher(folder, name, program)]),
    ),
  });
}

/** Makes `kubectl-im-VERSION.tgz` in a folder. Returns its path. @throws {ClusterFault} without npm */
export async function packPlugin(folder: string, context: RunContext): Promise<string> {
  const draft = mkdtempSync(join(tmpdir(), "kubectl-im-"));
  try {
    await writePlugin(draft);
    const { stdout } = await run("npm", ["pack", draft, "--pack-destination", folder, "--silent"], {
      cwd: folder,
      timeoutMs: PACK_TIMEOUT_MS,
      signal: context.signal,
      remedy: "npm comes with Node.js: install it, or put it on PATH.",
    });
    return join(folder, stdout.trim());
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}
