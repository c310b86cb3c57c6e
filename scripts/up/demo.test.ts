// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createLocalJWKSet, jwtVerify } from "jose";
import { parse } from "yaml";
import { demoAccess, demoManifest, loadBalancerAddress, writeDemoFiles } from "./demo.ts";
import type { KubeTools } from "./kube-tools.ts";
import { splitImage } from "./operator-release.ts";
import { PUSH_SANDBOX_WEBHOOK } from "./push-sandbox.ts";
import { shopSpec } from "./shop.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const privateJwk = { ...privateKey.export({ format: "jwk" }), kid: "k1", alg: "EdDSA" };
const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Answers `kubectl get` from a table: a stand-in for the command, not for the API server. */
function toolsFor(objects: Record<string, unknown>): KubeTools {
  const unused = (): Promise<never> => Promise.reject(new Error("not used"));
  return {
    kubeconfig: "",
    kubectlPath: "",
    helmPath: "",
    contextArgs: [],
    kubectl: unused,
    tryKubectl: unused,
    helm: unused,
    getJson: <T>(args: readonly string[]) => Promise.resolve(objects[`${args[0]}/${args[1]}`] as T),
  };
}

const objects = {
  "service/demo-entry": { status: { loadBalancer: { ingress: [{ ip: "192.0.2.7" }] } } },
  "secret/demo-tls": { data: { "ca.crt": base64("CA PEM") } },
  "secret/demo-auth": { data: { "private.jwk.json": base64(JSON.stringify(privateJwk)) } },
};

describe("the demo", () => {
  it("has a manifest with a demo page and three entries", () => {
    assert.equal(demoManifest().includes("webhook"), false);
    assert.match(
      demoManifest({ webhook: PUSH_SANDBOX_WEBHOOK }),
      /webhook:\n\s+url: http:\/\/push-sandbox\.imcluster-demo\.svc:8080\/push/,
    );
    const manifest = parse(demoManifest()) as { kind: string; spec: { entry: { replicas: number; demo: boolean } } };
    assert.equal(manifest.kind, "ImCluster");
    assert.deepEqual(manifest.spec.entry, { replicas: 3, demo: true });
    const shop = shopSpec("10.96.0.7", ["keys"]);
    const withShop = parse(demoManifest({ shop })) as { spec: { logic: object } };
    assert.deepEqual(withShop.spec.logic, { replicas: 2, ...shop.logic });
  });

  it("mints tokens that the fleet's key set accepts", async () => {
    const access = await demoAccess(toolsFor(objects));
    assert.equal(access.address, "192.0.2.7");
    assert.equal(access.caPem, "CA PEM");
    const keys = createLocalJWKSet({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "k1", alg: "EdDSA" }] });
    const { payload } = await jwtVerify(await access.mintToken("alice"), keys, {
      issuer: "imcluster",
      audience: "demo",
    });
    assert.equal(payload.sub, "alice");
    assert.ok(!("tenant" in payload));
    const ofAcme = await jwtVerify(await access.mintToken("alice", "acme"), keys);
    assert.deepEqual([ofAcme.payload.sub, ofAcme.payload.tenant], ["alice", "acme"]);
    assert.ok((payload.exp ?? 0) > Date.now() / 1000);
  });

  it("takes a hostname where the cloud gives one, and says what to do where there is no address", async () => {
    const named = {
      ...objects,
      "service/demo-entry": { status: { loadBalancer: { ingress: [{ hostname: "lb.example.com" }] } } },
    };
    assert.equal(await loadBalancerAddress(toolsFor(named)), "lb.example.com");
    await assert.rejects(demoAccess(toolsFor({ ...objects, "service/demo-entry": {} })), /MetalLB/);
  });

  it("writes tokens that only the owner can read", async () => {
    const folder = mkdtempSync(join(tmpdir(), "im-demo-"));
    try {
      const tokens = await writeDemoFiles(await demoAccess(toolsFor(objects)), folder, ["alice", "bob"]);
      assert.equal(readFileSync(join(folder, "bob.token"), "utf8"), tokens.bob);
      assert.equal(statSync(join(folder, "alice.token")).mode & 0o777, 0o600);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("splitImage", () => {
  const cases: [string, string, string][] = [
    ["imcluster.local/imcluster:abc", "imcluster.local/imcluster", "abc"],
    ["registry:5000/im/imcluster", "registry:5000/im/imcluster", ""],
    ["registry:5000/im/imcluster:1.0", "registry:5000/im/imcluster", "1.0"],
  ];
  for (const [image, repository, tag] of cases) {
    it(image, () => assert.deepEqual(splitImage(image), { repository, tag }));
  }
});
