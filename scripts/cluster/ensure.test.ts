// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { ensureCluster } from "./ensure.ts";
import { ClusterFault } from "./fault.ts";
import { silentProgress } from "./progress.ts";

const NAMES = [
  "IMCLUSTER_KUBECONFIG",
  "KUBECONFIG",
  "IMCLUSTER_IMAGE",
  "IMCLUSTER_POSTGRES_IMAGE",
  "IMCLUSTER_REDIS_IMAGE",
];
const saved = new Map(NAMES.map((name) => [name, process.env[name]]));

function setEnv(values: Record<string, string>): void {
  for (const name of NAMES) delete process.env[name];
  Object.assign(process.env, values);
}

afterEach(() => {
  for (const [name, value] of saved) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

const external = { progress: silentProgress, external: true };
/** Any file that exists will do: it is handed on, not read. */
const FILE = import.meta.filename;

describe("ensureCluster with a cluster of the user's own", () => {
  it("takes it as it is, with the images that were named", async () => {
    setEnv({ KUBECONFIG: FILE, IMCLUSTER_IMAGE: "registry.example/imcluster:1" });
    const cluster = await ensureCluster(external);
    assert.equal(cluster.kind, "external");
    assert.equal(cluster.kubeconfig, FILE);
    assert.equal(cluster.images.imcluster, "registry.example/imcluster:1");
    assert.match(cluster.images.postgres, /postgres:18$/);
  });

  it("is asked for by IMCLUSTER_KUBECONFIG alone, which wins over KUBECONFIG", async () => {
    setEnv({ KUBECONFIG: "/nowhere", IMCLUSTER_KUBECONFIG: FILE, IMCLUSTER_IMAGE: "i", IMCLUSTER_REDIS_IMAGE: "r" });
    const cluster = await ensureCluster({ progress: silentProgress });
    assert.deepEqual([cluster.kind, cluster.kubeconfig, cluster.images.redis], ["external", FILE, "r"]);
  });

  it("says what to do without a kubeconfig, and without an image", async () => {
    setEnv({ KUBECONFIG: "/nowhere/config" });
    await assert.rejects(ensureCluster(external), /there is no kubeconfig \/nowhere\/config/);
    setEnv({ KUBECONFIG: FILE });
    await assert.rejects(
      ensureCluster(external),
      (error) => error instanceof ClusterFault && /docker build/.test(error.remedy),
    );
  });
});
