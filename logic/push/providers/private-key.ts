// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, type KeyObject } from "node:crypto";
import { ErrorCode, ImError } from "#lib/errors.ts";

/** Reads a P-256 or RSA private key in PKCS #8. @throws {ImError} BAD_REQUEST that says what to set instead */
export function readPrivateKey(pem: string, kind: "P-256" | "RSA", variable: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The parser's message may quote the key.
    throw new ImError(ErrorCode.BAD_REQUEST, `${variable}: is not a private key in PEM (-----BEGIN PRIVATE KEY-----)`);
  }
  const isWanted =
    kind === "RSA"
      ? key.asymmetricKeyType === "rsa"
      : key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
  if (!isWanted) throw new ImError(ErrorCode.BAD_REQUEST, `${variable}: is not a ${kind} key`);
  return key;
}
