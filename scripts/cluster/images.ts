// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "./folder.ts";
import { cloudNativePgSpec, operandSpec } from "./image/cloudnative-pg.ts";
import { type BuiltImage, buildImage, encodeArchive, type ImageSpec } from "./image/image.ts";
import { imclusterSpec } from "./image/imcluster.ts";
import { postgresSpec } from "./image/postgres.ts";
import { redisSpec } from "./image/redis.ts";
import { corednsSpec, pauseSpec } from "./image/system.ts";
import { withLock } from "./lock.ts";
import { imageRoot } from "./paths.ts";
import { formatDuration, type RunContext } from "./progress.ts";

const SPECS: Readonly<Record<ImageName, (context: RunContext) => Promise<ImageSpec>>> = {
  pause: pauseSpec,
  coredns: corednsSpec,
  imcluster: imclusterSpec,
  postgres: postgresSpec,
  redis: redisSpec,
  "cloudnative-pg": cloudNativePgSpec,
  "cloudnative-pg-postgres": operandSpec,
};

export type ImageName =
  | "pause"
  | "coredns"
  | "imcluster"
  | "postgres"
  | "redis"
  | "cloudnative-pg"
  | "cloudnative-pg-postgres";
/** What the cluster itself needs, then what an ImCluster runs. */
export const SYSTEM_IMAGES: readonly ImageName[] = ["pause", "coredns"];
export const WORKLOAD_IMAGES: readonly ImageName[] = ["imcluster", "postgres", "redis"];
/** Built when somebody asks for them by name: `make cnpg`. */
export const CLOUDNATIVE_PG_IMAGES: readonly ImageName[] = ["cloudnative-pg", "cloudnative-pg-postgres"];
export const DEFAULT_IMAGES: readonly ImageName[] = [...SYSTEM_IMAGES, ...WORKLOAD_IMAGES];
export const IMAGE_NAMES: readonly ImageName[] = [...DEFAULT_IMAGES, ...CLOUDNATIVE_PG_IMAGES];

/** Layers of the last build of each image, so that pruning keeps what other work trees of this user need. */
const recordPath = (name: string): string => join(imageRoot(), `${name}.json`);

function readRecord(name: string): { ref: string; layers: string[] } | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(name), "utf8")) as { ref: string; layers: string[] };
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes layers and layer records that no image of the last build uses. */
function prune(): void {
  const used = new Set(IMAGE_NAMES.flatMap((name) => readRecord(name)?.layers ?? []));
  const folder = join(imageRoot(), "layers");
  for (const file of readdirSync(folder)) {
    const path = join(folder, file);
    const digest = file.endsWith(".tar")
      ? `sha256:${file.slice(0, -".tar".length)}`
      : file.endsWith(".json")
        ? (JSON.parse(readFileSync(path, "utf8")) as { digest: string }).digest
        : undefined;
    if (digest === undefined || !used.has(digest)) rmSync(path, { force: true });
  }
}

/**
 * Builds the named images, or takes unchanged layers from the cache (a changed source file costs well under a second).
 * Throws ClusterFault when an input is missing.
 */
export async function ensureImages(names: readonly ImageName[], context: RunContext): Promise<BuiltImage[]> {
  makeFolder(imageRoot());
  return await withLock(
    imageRoot(),
    async () => {
      const images: BuiltImage[] = [];
      let isChanged = false;
      for (const name of names) {
        context.signal?.throwIfAborted();
        const startedMs = performance.now();
        const image = buildImage(await SPECS[name](context));
        images.push(image);
        const layers = image.layers.map((layer) => layer.digest);
        if (JSON.stringify(readRecord(name)?.layers) === JSON.stringify(layers)) continue;
        isChanged = true;
        writeFileSync(recordPath(name), JSON.stringify({ ref: image.ref, layers }));
        const spent = formatDuration(performance.now() - startedMs);
        context.progress.line(`image ${image.ref}: built in ${spent}, ${Math.round(image.bytes / (1 << 20))} MiB`);
      }
      if (isChanged) prune();
      return images;
    },
    { signal: context.signal },
  );
}

/** Writes one file per image for `docker load`, `kind load image-archive` or `ctr images import`; returns the paths. */
export function writeArchives(images: readonly BuiltImage[], folder: string): string[] {
  makeFolder(folder);
  return images.map((image) => {
    const path = join(folder, `${image.ref.replace(/^.*\//, "").replace(":", "-")}.tar`);
    const fd = openSync(`${path}.part`, "w");
    try {
      for (const chunk of encodeArchive(image)) for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    } finally {
      closeSync(fd);
    }
    renameSync(`${path}.part`, path);
    return path;
  });
}
