// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { encodeTar, type TarEntry } from "#lib/tar.ts";
import { ensureLayer, type Layer } from "./layer.ts";

/** What an image is made of, before anything is built. */
export interface ImageSpec {
  name: string;
  /** Default: the first 12 hex digits of the manifest's digest, so that a changed image has another reference. */
  tag?: string;
  /** From what changes least to what changes most: an unchanged layer is neither built nor imported again. */
  layers: readonly (readonly TarEntry[])[];
  config: {
    User?: string;
    Env?: readonly string[];
    Entrypoint?: readonly string[];
    Cmd?: readonly string[];
    WorkingDir?: string;
    Labels?: Readonly<Record<string, string>>;
    StopSignal?: string;
  };
}

interface Blob {
  digest: string;
  content: Buffer;
}

/** A built image: its documents in memory, its layers on disk. */
export interface BuiltImage {
  name: string;
  /** E.g. `imcluster.local/imcluster:0a1b2c3d4e5f`. */
  ref: string;
  /** Of the manifest, `sha256:...`. */
  digest: string;
  bytes: number;
  layers: readonly Layer[];
  config: Blob;
  manifest: Blob;
}

export const IMAGE_REGISTRY = "imcluster.local";
const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";
const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function toBlob(document: unknown): Blob {
  const content = Buffer.from(JSON.stringify(document));
  return { content, digest: `sha256:${createHash("sha256").update(content).digest("hex")}` };
}

/** Builds what changed. Deterministic: the same files and settings give the same digest on every machine. */
export function buildImage(spec: ImageSpec): BuiltImage {
  const layers = spec.layers.map((entries) => ensureLayer(entries));
  const config = toBlob({
    architecture: "amd64",
    os: "linux",
    created: "1970-01-01T00:00:00Z",
    config: { Env: [DEFAULT_PATH], ...spec.config },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.digest) },
    history: layers.map((_, index) => ({ created_by: `imcluster ${spec.name} layer ${index + 1}` })),
  });
  const manifest = toBlob({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: CONFIG_TYPE, digest: config.digest, size: config.content.length },
    layers: layers.map(({ digest, size }) => ({ mediaType: LAYER_TYPE, digest, size })),
  });
  const tag = spec.tag ?? manifest.digest.slice("sha256:".length, "sha256:".length + 12);
  const bytes = layers.reduce((sum, layer) => sum + layer.size, 0);
  return {
    name: spec.name,
    ref: `${IMAGE_REGISTRY}/${spec.name}:${tag}`,
    digest: manifest.digest,
    bytes,
    layers,
    config,
    manifest,
  };
}

const blobPath = (digest: string): string => `/blobs/${digest.replace(":", "/")}`;

/**
 * One archive that containerd (`ctr images import`), Docker and kind load alike: an OCI layout plus Docker's
 * manifest.json. Layers in `omit` are left out, for a containerd that already holds them.
 */
export function encodeArchive(image: BuiltImage, omit: ReadonlySet<string> = new Set()): Generator<Buffer> {
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        mediaType: MANIFEST_TYPE,
        digest: image.manifest.digest,
        size: image.manifest.content.length,
        platform: { architecture: "amd64", os: "linux" },
        annotations: {
          "io.containerd.image.name": image.ref,
          "org.opencontainers.image.ref.name": image.ref.slice(image.ref.lastIndexOf(":") + 1),
        },
      },
    ],
  };
  const docker = [
    {
      Config: blobPath(image.config.digest).slice(1),
      RepoTags: [image.ref],
      Layers: image.layers.map((layer) => blobPath(layer.digest).slice(1)),
    },
  ];
  return encodeTar([
    { kind: "content", path: "/oci-layout", content: JSON.stringify({ imageLayoutVersion: "1.0.0" }) },
    { kind: "content", path: "/index.json", content: JSON.stringify(index) },
    { kind: "content", path: "/manifest.json", content: JSON.stringify(docker) },
    { kind: "content", path: blobPath(image.config.digest), content: image.config.content },
    { kind: "content", path: blobPath(image.manifest.digest), content: image.manifest.content },
    ...image.layers
      .filter((layer) => !omit.has(layer.digest))
      .map((layer): TarEntry => ({ kind: "file", path: blobPath(layer.digest), source: layer.path })),
  ]);
}
