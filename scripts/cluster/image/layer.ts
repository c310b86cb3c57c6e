// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { completeEntries, encodeTar, type TarEntry } from "#lib/tar.ts";
import { makeFolder } from "../folder.ts";
import { imageRoot } from "../paths.ts";

/** An uncompressed layer on disk. */
export interface Layer {
  /** `sha256:...` of the tar. */
  digest: string;
  size: number;
  path: string;
}

const layerFolder = (): string => join(imageRoot(), "layers");
export const layerPath = (digest: string): string => join(layerFolder(), `${digest.replace("sha256:", "")}.tar`);

/** Changes when any input does, as far as size and modification time tell; costs one stat per file. */
export function fingerprint(entries: readonly TarEntry[]): string {
  const hash = createHash("sha256");
  for (const entry of completeEntries(entries)) {
    const parts: (string | number | undefined)[] = [entry.path, entry.kind, entry.uid];
    if (entry.kind === "link") parts.push(entry.target);
    else parts.push(entry.mode);
    if (entry.kind === "content") parts.push(createHash("sha256").update(entry.content).digest("hex"));
    if (entry.kind === "file") {
      const stat = statSync(entry.source, { bigint: true });
      parts.push(entry.source, `${stat.size}`, `${stat.mtimeNs}`, `${stat.mode}`);
    }
    hash.update(`${JSON.stringify(parts)}\n`);
  }
  return hash.digest("hex");
}

/** Writes a tar to `draft` and returns its digest and size. */
function writeTar(draft: string, entries: readonly TarEntry[]): { digest: string; size: number } {
  const hash = createHash("sha256");
  const fd = openSync(draft, "w");
  let size = 0;
  try {
    for (const chunk of encodeTar(entries)) {
      hash.update(chunk);
      size += chunk.length;
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    }
  } finally {
    closeSync(fd);
  }
  return { digest: `sha256:${hash.digest("hex")}`, size };
}

/** The layer of these entries: from the cache when no input changed, else written anew. */
export function ensureLayer(entries: readonly TarEntry[]): Layer {
  makeFolder(layerFolder());
  const record = join(layerFolder(), `${fingerprint(entries).slice(0, 32)}.json`);
  if (existsSync(record)) {
    const layer = JSON.parse(readFileSync(record, "utf8")) as Layer;
    const path = layerPath(layer.digest);
    if (existsSync(path) && statSync(path).size === layer.size) return { ...layer, path };
  }
  const draft = join(layerFolder(), `.draft-${process.pid}-${Math.random().toString(36).slice(2)}`);
  try {
    const { digest, size } = writeTar(draft, entries);
    const layer: Layer = { digest, size, path: layerPath(digest) };
    renameSync(draft, layer.path);
    writeFileSync(record, JSON.stringify(layer));
    return layer;
  } finally {
    rmSync(draft, { force: true });
  }
}
