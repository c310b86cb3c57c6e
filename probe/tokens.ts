// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { importJWK, type JWK, SignJWT } from "jose";
import { ErrorCode, ImError } from "#lib/errors.ts";

/** The two users of a probe. */
export type Role = "sender" | "receiver";
export type TokenOf = (role: Role) => Promise<string>;

/** Where tokens come from; exactly one of `keyFile` and `tokensDir` is needed. */
export interface TokenSource {
  keyFile?: string | undefined;
  tokensDir?: string | undefined;
  issuer: string;
  audience: string;
}

const TTL = "10m";
/** Users of its own: a probe never takes a slot from a person. */
const userOf = (role: Role): string => `helm-test-${role}`;

function read(path: string, remedy: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new ImError(ErrorCode.BAD_REQUEST, `cannot read ${path}: ${remedy}`, { cause });
  }
}

/**
 * Signs tokens with the key that the operator generated, or reads those that were given.
 * @throws {ImError} BAD_REQUEST when there is neither, or a file is missing
 */
export async function tokenSource({ keyFile, tokensDir, issuer, audience }: TokenSource): Promise<TokenOf> {
  if (tokensDir !== undefined) {
    const token = (role: Role): string =>
      read(join(tokensDir, role), "the Secret of test.tokensSecretName must have the keys sender and receiver");
    const tokens = { sender: token("sender"), receiver: token("receiver") };
    return (role) => Promise.resolve(tokens[role]);
  }
  if (keyFile === undefined)
    throw new ImError(
      ErrorCode.BAD_REQUEST,
      "set IM_PROBE_TOKENS_DIR to a folder with tokens, or IM_PROBE_KEY_FILE to a private key",
    );
  const jwk = JSON.parse(read(keyFile, "is the ImCluster there, and does the operator run?")) as JWK;
  const key = await importJWK(jwk, jwk.alg ?? "EdDSA");
  return (role) =>
    new SignJWT({})
      .setProtectedHeader({ alg: jwk.alg ?? "EdDSA", ...(jwk.kid ? { kid: jwk.kid } : {}) })
      .setSubject(userOf(role))
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(TTL)
      .sign(key);
}

/** The claim `sub` of a token: who it is for. */
export function subjectOf(token: string): string {
  const [, claims = ""] = token.split(".");
  const { sub } = JSON.parse(Buffer.from(claims, "base64url").toString("utf8")) as { sub?: string };
  if (!sub) throw new ImError(ErrorCode.BAD_REQUEST, "the receiver's token names no user (claim sub)");
  return sub;
}
