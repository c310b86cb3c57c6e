// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTokenAuthority } from "../e2e/harness/tokens.ts";

/** How the tokens of a benchmark are signed. */
export type TokenKind = "EdDSA" | "RS256";

/** Files with the private keys, by kind. */
export type KeyFiles = Readonly<Record<TokenKind, string>>;

/** Puts an Ed25519 key, which is the fleet's, and an RSA key of 2048 bits into the folder of a fleet that will be started there: it takes tokens of both. */
export async function writeKeys(dir: string, audience: string): Promise<KeyFiles> {
  const [ed, rsa] = [await createTokenAuthority({ audience }), await createTokenAuthority({ audience }, "RS256")];
  const files = { EdDSA: join(dir, "private.jwk.json"), RS256: join(dir, "rsa.jwk.json") };
  ed.writePrivate(files.EdDSA);
  rsa.writePrivate(files.RS256);
  writeFileSync(join(dir, "jwks.json"), JSON.stringify({ keys: [...ed.jwks.keys, ...rsa.jwks.keys] }));
  return files;
}
