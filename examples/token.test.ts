// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseJwks } from "../logic/token/jwks.ts";
import { TokenVerifier } from "../logic/token/verify.ts";
import { sampleCluster, sampleSecrets } from "../operator/imcluster/testing/sample.ts";

const SCRIPT = join(import.meta.dirname, "token.ts");

const sign = (input: string, ...args: string[]): { code: number | null; stdout: string; stderr: string } => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], {
    input,
    encoding: "utf8",
    timeout: 60_000,
  });
  return { code: status, stdout, stderr };
};

describe("a token for trying out", () => {
  /** As the operator makes it. */
  const made = sampleSecrets(sampleCluster()).get("demo-auth");
  const secret = JSON.stringify(made);
  const keys = parseJwks(Buffer.from(made?.data?.["jwks.json"] ?? "", "base64").toString());

  it("is one that logic takes, for the ImCluster of the Secret", async () => {
    for (const [args, audience] of [
      [["alice"], "demo"],
      [["alice", "shop"], "shop"],
    ] as const) {
      const { code, stdout } = sign(secret, ...args);
      assert.equal(code, 0);
      assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
      const issuer = "imcluster";
      const verifier = new TokenVerifier({ keys: { current: () => keys }, issuer, audience, nowMs: () => Date.now() });
      const verdict = await verifier.verify(stdout.trim());
      assert.deepEqual([verdict.kind, "userId" in verdict && verdict.userId], ["ok", "alice"]);
    }
  });

  it("is refused in a sentence without a user, a Secret or its key", () => {
    const told = [
      [sign(secret), 2, /^usage: /],
      [sign("Error from server (NotFound)", "alice"), 1, /^What came on standard input is no JSON\.\nusage: /],
      [sign("{}", "alice"), 1, /^This Secret has no private\.jwk\.json/],
    ] as const;
    for (const [{ code, stdout, stderr }, expected, why] of told) {
      assert.deepEqual([code, stdout], [expected, ""]);
      assert.match(stderr, why);
      assert.doesNotMatch(stderr, /^ {4}at /m);
    }
  });
});
