// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { run } from "./command.ts";
import { ClusterFault } from "./fault.ts";
import type { RunContext } from "./progress.ts";

const LOCK_TIMEOUT_S = 120;

/** Names of the Debian packages among `names` that are not installed. */
export async function missingAptPackages(names: readonly string[]): Promise<string[]> {
  if (!existsSync("/usr/bin/dpkg-query")) {
    throw new ClusterFault(
      "this is no Debian or Ubuntu (dpkg-query is missing): the local cluster and the tests are made of Debian packages",
      "Take one of these, a virtual machine will do, or a cluster of your own: make up CONTEXT=name",
    );
  }
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own format language
  const format = "${Package} ${db:Status-Status}\\n";
  const { stdout } = await run("dpkg-query", ["-W", "-f", format, ...names], {
    mayFail: true,
  });
  const installed = new Set(
    stdout
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, status]) => status === "installed")
      .map(([name]) => name),
  );
  return names.filter((name) => !installed.has(name));
}

/**
 * Installs the Debian packages that are missing; needs root only when some are.
 * The package lists are refreshed only when the first attempt finds a package unknown or gone.
 */
export async function ensureAptPackages(names: readonly string[], context: RunContext): Promise<void> {
  const missing = await missingAptPackages(names);
  if (missing.length === 0) return;
  const byHand = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() !== 0) {
    throw new ClusterFault(`these Debian packages are missing: ${missing.join(" ")}`, `As root: ${byHand}`);
  }
  context.progress.line(`installing Debian packages: ${missing.join(" ")}`);
  const options = {
    timeoutMs: 10 * 60_000,
    signal: context.signal,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    remedy: `Install them by hand: ${byHand}`,
  };
  // Somebody else may be installing at the same time.
  const patience = ["-o", `DPkg::Lock::Timeout=${LOCK_TIMEOUT_S}`];
  const install = ["install", "-y", "-qq", ...patience, "--no-install-recommends", ...missing];
  const first = await run("apt-get", install, { ...options, mayFail: true });
  if (first.code === 0) return;
  await run("apt-get", ["update", "-qq"], options);
  await run("apt-get", install, options);
}
