// SPDX-License-Identifier: Apache-2.0
// CloudNativePG for the local cluster: its images on both nodes, and the manifest that its release installs.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import { ClusterFault } from "./fault.ts";
import { ensureGo } from "./go.ts";
import { CLOUDNATIVE_PG_VERSION } from "./image/cloudnative-pg.ts";
import { CLOUDNATIVE_PG_IMAGES, ensureImages } from "./images.ts";
import { NODES } from "./layout.ts";
import { loadImages } from "./load.ts";
import { PROJECT_ROOT } from "./paths.ts";
import type { RunContext } from "./progress.ts";
import { ensureBinaries } from "./toolchain.ts";

const MODULE = "github.com/cloudnative-pg/cloudnative-pg";
const DOWNLOAD_TIMEOUT_MS = 5 * 60_000;
const PUBLISHED_IMAGE = `ghcr.io/cloudnative-pg/cloudnative-pg:${CLOUDNATIVE_PG_VERSION}`;

/** References of what {@link loadCloudNativePg} loaded. */
export interface CloudNativePgImages {
  operator: string;
  postgres: string;
}

/** Builds what is missing (some minutes at first) and loads it into both nodes. */
export async function loadCloudNativePg(context: RunContext): Promise<CloudNativePgImages> {
  const binaries = await ensureBinaries(["ctr"], context);
  const images = await ensureImages(CLOUDNATIVE_PG_IMAGES, context);
  await Promise.all(NODES().map((node) => loadImages(images, node, binaries, context)));
  const refOf = (name: string): string => images.find((image) => image.name === name)?.ref ?? "";
  return { operator: refOf("cloudnative-pg"), postgres: refOf("cloudnative-pg-postgres") };
}

/** The release's manifest, with an image that the nodes hold. Pure. */
export function withImage(manifest: string, published: string, image: string): string {
  if (!manifest.includes(published)) throw new RangeError(`the manifest names no image ${published}`);
  return manifest.replaceAll(published, image).replaceAll("imagePullPolicy: Always", "imagePullPolicy: IfNotPresent");
}

/** What `kubectl apply` installs the operator with: the file of the release, from the Go module that it is built of. */
export async function operatorManifest(image: string, context: RunContext): Promise<string> {
  const { stdout } = await run(await ensureGo(context), ["mod", "download", "-json", MODULE], {
    cwd: join(PROJECT_ROOT, "scripts/cluster/go/cloudnative-pg"),
    env: { GOFLAGS: "", GOTOOLCHAIN: "local", GOWORK: "off" },
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    signal: context.signal,
    remedy: "Usual cause: no way to the Go module proxy (GOPROXY). Start again.",
  });
  const { Dir: folder } = JSON.parse(stdout) as { Dir?: string };
  if (folder === undefined) throw new ClusterFault(`the Go module ${MODULE} has no folder`, "Start again.");
  const manifest = readFileSync(join(folder, "releases", `cnpg-${CLOUDNATIVE_PG_VERSION}.yaml`), "utf8");
  return withImage(manifest, PUBLISHED_IMAGE, image);
}
