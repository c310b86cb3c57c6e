// SPDX-License-Identifier: Apache-2.0
// An older build of the project, taken from the history of this clone.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ClusterFault } from "../../scripts/cluster/fault.ts";
import { cacheRoot, PROJECT_ROOT } from "../../scripts/cluster/paths.ts";

/** Taken while there is no release: a hundred commits and six migrations before `make skew` was written. */
export const DEFAULT_FROM = "d9b8ef1";

/** An older build on disk. */
export interface OlderBuild {
  /** As it was asked for. */
  from: string;
  commit: string;
  /** ISO date of the commit. */
  date: string;
  /** Commits between it and this tree. */
  behind: number;
  dir: string;
}

/** What is known of the clone before a build is taken from it. */
export interface Clone {
  /** FROM; empty or undefined: the default. */
  asked: string | undefined;
  /** Release tags that this tree does not have in itself, newest first. */
  tags: readonly string[];
}

/** What `npm ci` reads. */
const PACKAGE_FILES = ["package.json", "package-lock.json", ".npmrc", "client/package.json"];
const MAX_ARCHIVE_BYTES = 256 * 1024 * 1024;
const GIT_TIMEOUT_MS = 60_000;
const NPM_TIMEOUT_MS = 300_000;
const run = promisify(execFile);

/** Which tag or commit: the one asked for, else the newest release before this tree, else {@link DEFAULT_FROM}. */
export function chooseFrom({ asked, tags }: Clone): string {
  const wanted = asked?.trim() ?? "";
  // git would take it for an option.
  if (wanted.startsWith("-")) throw new RangeError(`FROM: a tag or a commit, not "${wanted}"`);
  return wanted === "" ? (tags[0] ?? DEFAULT_FROM) : wanted;
}

/** What to tell whoever asked for a build that this clone does not have. */
export function unknownFrom(from: string, isShallow: boolean): ClusterFault {
  return isShallow
    ? new ClusterFault(
        `FROM: this clone is shallow and has no ${from}`,
        "Bring the history with git fetch --unshallow --tags, then run make skew again.",
      )
    : new ClusterFault(
        `FROM: there is no tag or commit ${from} in this clone`,
        "Take one of git tag or git log --oneline; git fetch --tags brings those of the origin.",
      );
}

/**
 * Unpacks the older build into `dir`, with packages of its own when its lock file is another one.
 * @throws ClusterFault when the clone does not have it
 */
export async function takeOlderBuild(asked: string | undefined, dir: string): Promise<OlderBuild> {
  const tags = (await git("tag", "--list", "v[0-9]*", "--sort=-v:refname", "--no-contains", "HEAD")).split("\n");
  const from = chooseFrom({ asked, tags: tags.filter((tag) => tag !== "") });
  const commit = await commitOf(from);
  const [date = "", behind] = [
    await git("show", "-s", "--format=%cI", commit),
    Number(await git("rev-list", "--count", `${commit}..HEAD`)),
  ];
  const archive = `${dir}.tar`;
  mkdirSync(dir, { recursive: true });
  try {
    await git("archive", "--format=tar", `--output=${archive}`, commit);
    await run("tar", ["-xf", archive, "-C", dir], { timeout: GIT_TIMEOUT_MS });
  } finally {
    rmSync(archive, { force: true });
  }
  symlinkSync(await packagesOf(dir), join(dir, "node_modules"));
  return { from, commit: commit.slice(0, 12), date, behind, dir };
}

async function commitOf(from: string): Promise<string> {
  try {
    return await git("rev-parse", "--verify", "--quiet", `${from}^{commit}`);
  } catch {
    throw unknownFrom(from, (await git("rev-parse", "--is-shallow-repository")) === "true");
  }
}

async function git(...args: string[]): Promise<string> {
  try {
    const options = { cwd: PROJECT_ROOT, maxBuffer: MAX_ARCHIVE_BYTES, timeout: GIT_TIMEOUT_MS };
    return (await run("git", args, options)).stdout.trim();
  } catch (cause) {
    const { code, stderr = "" } = cause as { code?: unknown; stderr?: string };
    const isHistoryMissing = code === "ENOENT" || stderr.includes("not a git repository");
    if (!isHistoryMissing) throw cause;
    throw new ClusterFault(
      "make skew takes an older build from git history, and here is none",
      "Install git, and run it in a clone instead of an unpacked archive.",
      { cause },
    );
  }
}

/** Ours when the lock file is the same; else installed once per lock file, in the cache. */
async function packagesOf(dir: string): Promise<string> {
  const lock = readFileSync(join(dir, "package-lock.json"));
  const ours = readFileSync(join(PROJECT_ROOT, "package-lock.json"));
  if (lock.equals(ours)) return join(PROJECT_ROOT, "node_modules");
  const digest = createHash("sha256").update(lock).digest("hex").slice(0, 16);
  const place = join(cacheRoot(), "skew", `packages-${digest}`);
  if (!existsSync(place)) await install(dir, place);
  return join(place, "node_modules");
}

async function install(dir: string, place: string): Promise<void> {
  const aside = `${place}.${process.pid}`;
  try {
    for (const name of PACKAGE_FILES) if (existsSync(join(dir, name))) cpSync(join(dir, name), join(aside, name));
    // What servers and the SDK need: no tools.
    const args = ["ci", "--ignore-scripts", "--omit=dev", "--omit=optional", "--no-audit", "--no-fund"];
    await run("npm", args, { cwd: aside, timeout: NPM_TIMEOUT_MS, maxBuffer: MAX_ARCHIVE_BYTES });
    if (!existsSync(place)) renameSync(aside, place);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}
