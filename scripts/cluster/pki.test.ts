// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { clusterRoot, kubeconfigPath } from "./paths.ts";
import { ensurePki, pkiFile, pkiFolder } from "./pki.ts";
import { silentProgress } from "./progress.ts";

const saved = process.env.IMCLUSTER_CACHE;
process.env.IMCLUSTER_CACHE = mkdtempSync(join(tmpdir(), "imc-pki-"));
const cache = process.env.IMCLUSTER_CACHE;
const context = { progress: silentProgress };

before(async () => {
  mkdirSync(clusterRoot(), { recursive: true });
  // What a run leaves that was killed half-way.
  mkdirSync(`${pkiFolder()}.draft`);
  writeFileSync(`${pkiFolder()}.draft/ca.key`, "half a key");
  await ensurePki(context);
});
after(() => {
  if (saved === undefined) delete process.env.IMCLUSTER_CACHE;
  else process.env.IMCLUSTER_CACHE = saved;
  rmSync(cache, { recursive: true });
});

const certificate = (name: string): X509Certificate => new X509Certificate(readFileSync(pkiFile(`${name}.crt`)));

describe("ensurePki", () => {
  it("signs every certificate with its authority", () => {
    const authority = certificate("ca");
    assert.ok(authority.ca);
    const names = readdirSync(pkiFolder()).filter((name) => name.endsWith(".crt") && name !== "ca.crt");
    assert.equal(names.length, 9);
    for (const name of names) {
      const leaf = certificate(name.replace(".crt", ""));
      assert.ok(leaf.verify(authority.publicKey), name);
      assert.ok(!leaf.ca, name);
      assert.ok(Date.parse(leaf.validTo) - Date.now() > 9 * 365 * 86_400_000, name);
    }
  });

  it("names the API server by all its names and addresses", () => {
    const server = certificate("apiserver");
    for (const host of ["kubernetes", "kubernetes.default.svc.cluster.local", "localhost"])
      assert.ok(server.checkHost(host), host);
    for (const ip of ["10.89.0.1", "10.96.0.1", "127.0.0.1"]) assert.ok(server.checkIP(ip), ip);
    assert.ok(!server.checkIP("10.89.0.11"));
  });

  it("gives each node its identity and address", () => {
    assert.match(certificate("node2").subject, /O=system:nodes\nCN=system:node:node2/);
    assert.ok(certificate("node2").checkIP("10.89.0.12"));
  });

  it("keeps keys from other users", () => {
    assert.equal(statSync(pkiFolder()).mode & 0o777, 0o700);
    assert.equal(statSync(kubeconfigPath()).mode & 0o777, 0o600);
  });

  it("makes nothing twice, and restores a lost kubeconfig", async () => {
    const serial = certificate("ca").serialNumber;
    rmSync(kubeconfigPath());
    await ensurePki(context);
    assert.equal(certificate("ca").serialNumber, serial);
    const kubeconfig = JSON.parse(readFileSync(kubeconfigPath(), "utf8")) as {
      clusters: { cluster: { server: string } }[];
    };
    assert.equal(kubeconfig.clusters[0]?.cluster.server, "https://10.89.0.1:6443");
    assert.ok(!readdirSync(clusterRoot()).some((name) => name.endsWith(".draft")));
  });
});
