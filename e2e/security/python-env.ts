// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensureAptPackages } from "../../scripts/cluster/apt.ts";
import { run } from "../../scripts/cluster/command.ts";
import { cacheRoot } from "../../scripts/cluster/paths.ts";
import type { RunContext } from "../../scripts/cluster/progress.ts";

/** Exact versions: a run next year is the same run. */
const PACKAGES = ["websockets==15.0.1", "autobahn==24.4.2", "setuptools==80.9.0"];
const INSTALL_TIMEOUT_MS = 3 * 60_000;

/** A python3 that has {@link PACKAGES}; made once below the cache folder. @throws {ClusterFault} with what to do */
export async function ensurePython(context: RunContext): Promise<string> {
  const dir = join(cacheRoot(), "python", PACKAGES.join("+").replaceAll("==", "-"));
  const python = join(dir, "bin", "python3");
  const complete = join(dir, "complete");
  if (existsSync(complete)) return python;
  const hasVenv = await run("python3", ["-c", "import venv, ensurepip"], { mayFail: true }).catch(() => undefined);
  if (hasVenv?.code !== 0) await ensureAptPackages(["python3", "python3-venv"], context);
  context.progress.line(`installing Python packages: ${PACKAGES.join(" ")}`);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dirname(dir), { recursive: true });
  await run("python3", ["-m", "venv", dir], { timeoutMs: INSTALL_TIMEOUT_MS });
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
  await run(python, [...pip, ...PACKAGES], { timeoutMs: INSTALL_TIMEOUT_MS });
  writeFileSync(complete, "");
  return python;
}
