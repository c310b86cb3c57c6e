// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { withImage } from "./cloudnative-pg.ts";
import { CLOUDNATIVE_PG_VERSION, newestMajor, versionOf } from "./image/cloudnative-pg.ts";
import { PROJECT_ROOT } from "./paths.ts";

describe("CloudNativePG", () => {
  it("is built at the version that names its image", () => {
    const pins = readFileSync(join(PROJECT_ROOT, "scripts/cluster/go/cloudnative-pg/go.mod"), "utf8");
    assert.match(pins, new RegExp(`github\\.com/cloudnative-pg/cloudnative-pg v${CLOUDNATIVE_PG_VERSION} `));
  });

  it("is installed with an image that is not pulled, at every place that names it", () => {
    const manifest = "value: ghcr/x:1\nimage: ghcr/x:1\nimagePullPolicy: Always\n";
    const local = "value: local/x:2\nimage: local/x:2\nimagePullPolicy: IfNotPresent\n";
    assert.equal(withImage(manifest, "ghcr/x:1", "local/x:2"), local);
    assert.throws(() => withImage(manifest, "ghcr/y:1", "local/x:2"), /no image ghcr\/y:1/);
  });
});

describe("Debian's PostgreSQL", () => {
  it("is the newest that the store can live with", () => {
    assert.equal(newestMajor(["9.6", "15", "17", "16", "man"]), 17);
    assert.equal(newestMajor(["14", "13"]), undefined);
    assert.equal(newestMajor([]), undefined);
  });

  it("says its version, which CloudNativePG reads off the image's tag", () => {
    assert.equal(versionOf("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), "15.18");
    assert.equal(versionOf("postgres (PostgreSQL) 19beta1\n"), "19");
    assert.equal(versionOf("something else"), undefined);
  });
});
