// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { buildImage, encodeArchive, type ImageSpec } from "./image.ts";
import { layerPath } from "./layer.ts";

const root = mkdtempSync(join(tmpdir(), "imc-image-"));
const before = process.env.IMCLUSTER_CACHE;
let caches = 0;

function useFreshCache(): void {
  process.env.IMCLUSTER_CACHE = join(root, `cache-${caches++}`);
}

beforeEach(useFreshCache);
after(() => {
  if (before === undefined) delete process.env.IMCLUSTER_CACHE;
  else process.env.IMCLUSTER_CACHE = before;
  rmSync(root, { recursive: true });
});

function spec(app: string): ImageSpec {
  const program = join(root, "program");
  if (!existsSync(program)) writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
  return {
    name: "sample",
    layers: [
      [{ kind: "file", path: "/bin/program", source: program }],
      [{ kind: "content", path: "/app/main.ts", content: app }],
    ],
    config: { User: "65532", Cmd: ["node"] },
  };
}

describe("buildImage", () => {
  it("gives the same digest in another cache, and when only times changed", () => {
    const first = buildImage(spec("a"));
    useFreshCache();
    utimesSync(join(root, "program"), new Date(), new Date());
    assert.equal(buildImage(spec("a")).digest, first.digest);
    assert.equal(first.ref, `imcluster.local/sample:${first.digest.slice(7, 19)}`);
  });

  it("gives another reference when a source changed, and keeps the other layer", () => {
    const first = buildImage(spec("a"));
    const second = buildImage(spec("b"));
    assert.notEqual(second.ref, first.ref);
    assert.equal(second.layers[0]?.digest, first.layers[0]?.digest);
    assert.notEqual(second.layers[1]?.digest, first.layers[1]?.digest);
  });

  it("takes an unchanged layer from the cache without writing it again", () => {
    const [layer] = buildImage(spec("a")).layers;
    assert.ok(layer);
    const { mtimeNs } = statSync(layer.path, { bigint: true });
    buildImage(spec("a"));
    assert.equal(statSync(layer.path, { bigint: true }).mtimeNs, mtimeNs);
  });

  it("builds a layer again that was truncated or removed", () => {
    const [layer] = buildImage(spec("a")).layers;
    assert.ok(layer);
    writeFileSync(layer.path, "");
    assert.equal(buildImage(spec("a")).layers[0]?.digest, layer.digest);
    assert.equal(statSync(layerPath(layer.digest)).size, layer.size);
  });

  it("leaves no drafts behind", () => {
    const image = buildImage(spec("a"));
    const files = readdirSync(join(layerPath(image.layers[0]?.digest ?? ""), ".."));
    assert.deepEqual(
      files.filter((name) => name.startsWith(".")),
      [],
    );
  });
});

describe("encodeArchive", () => {
  const list = (bytes: Buffer): string[] =>
    execFileSync("tar", ["-tf", "-"], { input: bytes, encoding: "utf8" }).trim().split("\n");

  it("holds the layout, both manifests and every blob", () => {
    const image = buildImage(spec("a"));
    const names = list(Buffer.concat([...encodeArchive(image)]));
    const blobs = [image.digest, image.config.digest, ...image.layers.map((layer) => layer.digest)];
    for (const digest of blobs) assert.ok(names.includes(`blobs/${digest.replace(":", "/")}`), digest);
    for (const name of ["oci-layout", "index.json", "manifest.json"]) assert.ok(names.includes(name), name);
  });

  it("leaves out the layers that the other side has", () => {
    const image = buildImage(spec("a"));
    const [held, sent] = image.layers;
    assert.ok(held && sent);
    const names = list(Buffer.concat([...encodeArchive(image, new Set([held.digest]))]));
    assert.ok(!names.includes(`blobs/${held.digest.replace(":", "/")}`));
    assert.ok(names.includes(`blobs/${sent.digest.replace(":", "/")}`));
  });
});
