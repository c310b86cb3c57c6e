// SPDX-License-Identifier: Apache-2.0
// The image that is shipped, built twice with nothing kept in between.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { imageRoot } from "../paths.ts";
import { silentProgress } from "../progress.ts";
import { type BuiltImage, buildImage } from "./image.ts";
import { imclusterSpec } from "./imcluster.ts";

const MIB = 1 << 20;
const MOST_MIB = 260;
const root = mkdtempSync(join(tmpdir(), "imc-reproducible-"));
const before = process.env.IMCLUSTER_CACHE;

after(() => {
  if (before === undefined) delete process.env.IMCLUSTER_CACHE;
  else process.env.IMCLUSTER_CACHE = before;
  rmSync(root, { recursive: true });
});

/** From sources and packages, in a cache of its own; its layers are removed, as they are large. */
async function buildAnew(name: string): Promise<BuiltImage> {
  process.env.IMCLUSTER_CACHE = join(root, name);
  mkdirSync(imageRoot(), { recursive: true });
  const image = buildImage(await imclusterSpec({ progress: silentProgress }));
  rmSync(process.env.IMCLUSTER_CACHE, { recursive: true });
  return image;
}

describe("the image imcluster", () => {
  it("has one digest however often it is built, and is no larger than it may be", async () => {
    const first = await buildAnew("first");
    const second = await buildAnew("second");
    assert.deepEqual(
      second.layers.map(({ digest }) => digest),
      first.layers.map(({ digest }) => digest),
    );
    assert.equal(second.digest, first.digest);
    const mib = Math.round(first.bytes / MIB);
    console.log(`${first.digest}, ${mib} MiB unpacked`);
    assert.ok(mib <= MOST_MIB, `${mib} MiB unpacked, ${MOST_MIB} at most`);
  });
});
