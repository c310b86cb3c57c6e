// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensureAptPackages } from "../../scripts/cluster/apt.ts";
import { run } from "../../scripts/cluster/command.ts";
import { makeFolder } from "../../scripts/cluster/folder.ts";
import { cacheRoot } from "../../scripts/cluster/paths.ts";
import type { RunContext } from "../../scripts/cluster/progress.ts";

/** Exact versions: a run next year is the same run. */
const PACKAGES = ["websockets==15.0.1", "autobahn==24.4.2", "setuptools==80.9.0"];
/** On a busy machine it takes several times what it takes on a quiet one. */
const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** A python3 that has {@link PACKAGES}; made once below the cache folder. @throws {ClusterFault} with what to do */
export async function ensurePython(context: RunContext): Promise<string> {
  const dir = join(cacheRoot(), "python", PACKAGES.join("+").replaceAll("==", "-"));
  return await ensureEnvironment({ dir, what: PACKAGES.join(" "), install: PACKAGES }, context);
}

/**
 * The folder of programs of a Python that has what a requirements file names, with the hashes there; made once below the cache
 * folder. @throws {ClusterFault} with what to do
 */
export async function ensureRequirements(name: string, file: string, context: RunContext): Promise<string> {
  const digest = hash("sha256", readFileSync(file), "hex").slice(0, 16);
  const dir = join(cacheRoot(), "python", `${name}-${digest}`);
  const install = ["--no-compile", "--require-hashes", "--requirement", file];
  return dirname(await ensureEnvironment({ dir, what: name, install }, context));
}

async function ensureEnvironment(
  { dir, what, install }: { dir: string; what: string; install: readonly string[] },
  context: RunContext,
): Promise<string> {
  const python = join(dir, "bin", "python3");
  const complete = join(dir, "complete");
  if (existsSync(complete)) return python;
  const hasVenv = await run("python3", ["-c", "import venv, ensurepip"], { mayFail: true }).catch(() => undefined);
  if (hasVenv?.code !== 0) await ensureAptPackages(["python3", "python3-venv"], context);
  context.progress.line(`installing Python packages: ${what}`);
  rmSync(dir, { recursive: true, force: true });
  makeFolder(dirname(dir));
  await run("python3", ["-m", "venv", dir], { timeoutMs: INSTALL_TIMEOUT_MS });
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
  await run(python, [...pip, ...install], { timeoutMs: INSTALL_TIMEOUT_MS });
  writeFileSync(complete, "");
  return python;
}
