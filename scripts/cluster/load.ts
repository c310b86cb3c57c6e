// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { run } from "./command.ts";
import type { Binaries } from "./control-plane.ts";
import { ClusterFault } from "./fault.ts";
import { type BuiltImage, encodeArchive } from "./image/image.ts";
import type { NodeLayout } from "./layout.ts";
import { formatDuration, type RunContext } from "./progress.ts";

const IMPORT_TIMEOUT_MS = 180_000;
const NAMESPACE = "k8s.io";

function ctr(node: NodeLayout, binaries: Binaries): { program: string; args: string[] } {
  return { program: binaries.ctr ?? "ctr", args: ["-a", node.containerdSocket, "-n", NAMESPACE] };
}

/** References and manifest digests in the output of `ctr images ls`. */
export function parseImageList(output: string): Map<string, string> {
  const rows = output
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/));
  return new Map(rows.flatMap(([ref, , digest]) => (ref && digest ? [[ref, digest]] : [])));
}

async function importArchive(
  image: BuiltImage,
  omit: ReadonlySet<string>,
  node: NodeLayout,
  binaries: Binaries,
  context: RunContext,
): Promise<void> {
  const { program, args } = ctr(node, binaries);
  const limit = AbortSignal.timeout(IMPORT_TIMEOUT_MS);
  const signal = context.signal ? AbortSignal.any([context.signal, limit]) : limit;
  const child = spawn(program, [...args, "images", "import", "--local", "-"], {
    stdio: ["pipe", "ignore", "pipe"],
    signal,
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  const exited = once(child, "exit") as Promise<[number | null]>;
  // A broken pipe only says that ctr ended early; its exit code and stderr say why.
  const fed = pipeline(Readable.from(encodeArchive(image, omit), { highWaterMark: 4 }), child.stdin).catch(
    () => undefined,
  );
  const [code] = await exited;
  await fed;
  if (code !== 0) {
    throw new ClusterFault(
      `${node.name} could not import ${image.ref} (code ${code}): ${errors.trim()}`,
      "Start again; `down`, then `up` if it stays.",
    );
  }
}

/**
 * Imports into a node those images that it does not have in this version; layers that it holds are not sent again.
 * Returns the references imported.
 */
export async function loadImages(
  images: readonly BuiltImage[],
  node: NodeLayout,
  binaries: Binaries,
  context: RunContext,
): Promise<string[]> {
  const { program, args } = ctr(node, binaries);
  const options = { signal: context.signal };
  const present = parseImageList((await run(program, [...args, "images", "ls"], options)).stdout);
  const missing = images.filter((image) => present.get(image.ref) !== image.digest);
  if (missing.length === 0) return [];
  const content = new Set((await run(program, [...args, "content", "ls", "-q"], options)).stdout.split("\n"));
  for (const image of missing) {
    const startedMs = performance.now();
    const held = new Set(image.layers.map((layer) => layer.digest).filter((digest) => content.has(digest)));
    await importArchive(image, held, node, binaries, context);
    context.progress.line(`${node.name}: imported ${image.ref} in ${formatDuration(performance.now() - startedMs)}`);
  }
  return missing.map((image) => image.ref);
}
