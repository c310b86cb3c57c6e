// SPDX-License-Identifier: Apache-2.0
// Signs a token for trying out, as a login service would, with the key that the operator made:
// kubectl get secret NAME-auth -o json | node examples/token.ts USER
import { createPrivateKey, type JsonWebKey, sign } from "node:crypto";
import { text } from "node:stream/consumers";

const VALID_S = 12 * 3600;
const USAGE = "usage: kubectl get secret NAME-auth -o json | node examples/token.ts USER [AUDIENCE]";

/** A key that cannot be used; told in a sentence. */
class KeyFault extends Error {}

interface Secret {
  metadata?: { name?: string };
  data?: Record<string, string>;
}

function parse<T>(json: string, what: string): T {
  try {
    return JSON.parse(json) as T;
  } catch {
    throw new KeyFault(`${what} is no JSON.\n${USAGE}`);
  }
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token of `user`: header and claims, signed by the key in the Secret. */
function tokenOf(secret: Secret, user: string, audience: string | undefined): string {
  const sealed = secret.data?.["private.jwk.json"];
  if (sealed === undefined)
    throw new KeyFault(`This Secret has no private.jwk.json: it is not one that the operator made.\n${USAGE}`);
  const key = parse<JsonWebKey & { kid?: string }>(Buffer.from(sealed, "base64").toString(), "Its private.jwk.json");
  const issuedAt = Math.floor(Date.now() / 1000);
  const claims = {
    iss: "imcluster",
    aud: audience ?? (secret.metadata?.name ?? "").replace(/-auth$/, ""),
    sub: user,
    iat: issuedAt,
    exp: issuedAt + VALID_S,
  };
  const signed = `${part({ alg: "EdDSA", kid: key.kid })}.${part(claims)}`;
  const signature = sign(null, Buffer.from(signed), createPrivateKey({ key, format: "jwk" }));
  return `${signed}.${signature.toString("base64url")}`;
}

const [user, audience] = process.argv.slice(2);
if (user === undefined || process.stdin.isTTY) {
  console.error(USAGE);
  process.exit(2);
}
try {
  console.log(tokenOf(parse<Secret>(await text(process.stdin), "What came on standard input"), user, audience));
} catch (error) {
  if (!(error instanceof KeyFault)) throw error;
  console.error(error.message);
  process.exit(1);
}
