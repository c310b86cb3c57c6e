// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLocalJWKSet, jwtVerify } from "jose";
import { createTokenAuthority, tokenAuthorityFrom } from "./tokens.ts";

describe("token authority", () => {
  it("mints what its public keys verify", async () => {
    const authority = await createTokenAuthority({ audience: "demo" });
    const keys = createLocalJWKSet(authority.jwks);
    const { payload, protectedHeader } = await jwtVerify(await authority.mint("alice"), keys, {
      issuer: "imcluster",
      audience: "demo",
    });
    assert.equal(payload.sub, "alice");
    assert.equal(protectedHeader.alg, "EdDSA");
    assert.equal(JSON.stringify(authority.jwks).includes(String(authority.privateJwk.d)), false);
  });

  it("goes on from a stored private key", async () => {
    const first = await createTokenAuthority();
    const again = await tokenAuthorityFrom(first.privateJwk);
    await jwtVerify(await again.mint("bob"), createLocalJWKSet(first.jwks));
  });

  it("can mint tokens that must be refused", async () => {
    const authority = await createTokenAuthority();
    const keys = createLocalJWKSet(authority.jwks);
    await assert.rejects(jwtVerify(await authority.mint("a", { expiresInS: -5 }), keys), /exp/);
    await assert.rejects(jwtVerify(await authority.mint("a", { kid: "other" }), keys), /no applicable key/);
    await assert.rejects(tokenAuthorityFrom({ kty: "OKP" }), /not a private JWK/);
  });
});
