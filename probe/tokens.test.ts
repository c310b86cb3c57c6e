// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from "jose";
import { subjectOf, tokenSource } from "./tokens.ts";

const folder = mkdtempSync(join(tmpdir(), "im-probe-"));
after(() => rmSync(folder, { recursive: true }));
const names = { issuer: "imcluster", audience: "shop" };

describe("tokens of a probe", () => {
  it("are signed by the key of the operator, for two users of its own", async () => {
    const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    const keyFile = join(folder, "key.json");
    writeFileSync(keyFile, JSON.stringify({ ...(await exportJWK(privateKey)), alg: "EdDSA", kid: "k1" }));
    const tokenOf = await tokenSource({ keyFile, ...names });
    const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), alg: "EdDSA", kid: "k1" }] });
    const { payload } = await jwtVerify(await tokenOf("sender"), keys, names);
    assert.equal(payload.sub, "helm-test-sender");
    assert.equal(subjectOf(await tokenOf("receiver")), "helm-test-receiver");
  });

  it("are read from a folder when they were given", async () => {
    writeFileSync(join(folder, "sender"), "a.b.c\n");
    writeFileSync(join(folder, "receiver"), "d.e.f\n");
    const tokenOf = await tokenSource({ tokensDir: folder, ...names });
    assert.deepEqual([await tokenOf("sender"), await tokenOf("receiver")], ["a.b.c", "d.e.f"]);
  });

  it("that cannot be had are said with what to do", async () => {
    await assert.rejects(tokenSource(names), /set IM_PROBE_TOKENS_DIR.*or IM_PROBE_KEY_FILE/);
    const keyFile = join(folder, "none");
    await assert.rejects(tokenSource({ keyFile, ...names }), /none: is the ImCluster there/);
    const tokensDir = join(folder, "no-folder");
    await assert.rejects(tokenSource({ tokensDir, ...names }), /test[.]tokensSecretName must have the keys/);
    assert.throws(() => subjectOf(`x.${Buffer.from("{}").toString("base64url")}.y`), /names no user/);
  });
});
