// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";

/** Options of {@link TokenAuthority.mint}. */
export interface MintOptions {
  /** Lifetime in seconds; negative for a token that is already expired. Default one hour. */
  expiresInS?: number;
  /** Claim `jti`; none by default. */
  tokenId?: string;
  /** Claim `tenant`; none by default. */
  tenant?: string;
  /** Seconds since it was issued. Default 0. */
  ageS?: number;
  issuer?: string;
  audience?: string;
  /** Key id in the header; another one than the authority's for a token of an unknown key. */
  kid?: string;
}

/** Signs access tokens the way a product's account service would. */
export interface TokenAuthority {
  issuer: string;
  audience: string;
  /** Public half: content of `IM_JWKS_FILE`. */
  jwks: { keys: JWK[] };
  /** Private half as JWK: content of `private.jwk.json`. */
  privateJwk: JWK;
  mint(userId: string, options?: MintOptions): Promise<string>;
  /** Writes the public key set. */
  writeJwks(path: string): void;
  /** Writes the private key, readable by its owner only. */
  writePrivate(path: string): void;
}

export interface AuthorityNames {
  /** Default `imcluster`. */
  issuer?: string;
  /** Default `dev`. */
  audience?: string;
}

const ALGORITHM = "EdDSA";

/** A new key, Ed25519 unless told otherwise, with its issuer. */
export async function createTokenAuthority(
  names: AuthorityNames = {},
  algorithm: "EdDSA" | "RS256" = ALGORITHM,
): Promise<TokenAuthority> {
  const { privateKey } = await generateKeyPair(algorithm, { crv: "Ed25519", extractable: true });
  const kid = `test-${Math.random().toString(36).slice(2, 10)}`;
  return await tokenAuthorityFrom({ ...(await exportJWK(privateKey)), kid, alg: algorithm, use: "sig" }, names);
}

/** Of a private JWK what everybody may know. */
function publicPart(jwk: JWK): JWK {
  const { d, p, q, dp, dq, qi, ...rest } = jwk;
  return rest;
}

/**
 * The issuer of an existing private key, for example the `private.jwk.json` of a cluster's sample key.
 * @throws TypeError when the JWK is no private key with a `kid`.
 */
export async function tokenAuthorityFrom(privateJwk: JWK, names: AuthorityNames = {}): Promise<TokenAuthority> {
  const { d, kid } = privateJwk;
  if (d === undefined || kid === undefined) throw new TypeError("not a private JWK with a kid");
  const alg = privateJwk.alg ?? ALGORITHM;
  const key = await importJWK(privateJwk, alg);
  const issuer = names.issuer ?? "imcluster";
  const audience = names.audience ?? "dev";
  const jwks = { keys: [publicPart(privateJwk)] };
  return {
    issuer,
    audience,
    jwks,
    privateJwk,
    async mint(userId, options = {}) {
      const nowS = Math.floor(Date.now() / 1000);
      const { tokenId, tenant } = options;
      const named = { ...(tokenId === undefined ? {} : { jti: tokenId }), ...(tenant === undefined ? {} : { tenant }) };
      const token = new SignJWT(named);
      return await token
        .setProtectedHeader({ alg, kid: options.kid ?? kid })
        .setIssuer(options.issuer ?? issuer)
        .setAudience(options.audience ?? audience)
        .setSubject(userId)
        .setIssuedAt(nowS - (options.ageS ?? 0))
        .setExpirationTime(nowS + (options.expiresInS ?? 3600))
        .sign(key);
    },
    writeJwks: (path) => writeFileSync(path, JSON.stringify(jwks)),
    writePrivate: (path) => writeFileSync(path, JSON.stringify(privateJwk), { mode: 0o600 }),
  };
}
