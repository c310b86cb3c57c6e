// SPDX-License-Identifier: Apache-2.0
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import * as der from "./der.ts";

const OID = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;

const KEY_USAGE = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const;
/** Certificates are valid from a little earlier, for clocks that run behind. */
const BACKDATE_MS = 5 * 60_000;
const DAY_MS = 86_400_000;

/** A certificate with its private key, both PEM. */
export interface KeyPair {
  cert: string;
  key: string;
}

export interface CaRequest {
  commonName: string;
  nowMs: number;
  validDays: number;
}

export interface LeafRequest extends CaRequest {
  /** DNS names and IP addresses, in the order wanted. */
  altNames: readonly string[];
  usage: readonly ("server" | "client")[];
}

/** A self-signed ECDSA P-256 CA that may sign leaves only (path length 0). */
export function createCa(request: CaRequest): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const extensions = [
    extension(OID.basicConstraints, true, der.sequence(der.boolean(true), der.integer(0))),
    extension(OID.keyUsage, true, der.namedBits([KEY_USAGE.keyCertSign, KEY_USAGE.cRLSign])),
    extension(OID.subjectKeyId, false, der.octetString(keyId(publicKey))),
  ];
  const subject = nameOf(request.commonName);
  return {
    cert: certificate({ request, issuer: subject, publicKey, signer: privateKey, extensions }),
    key: pem(privateKey),
  };
}

/** An ECDSA P-256 leaf signed by `ca`. @throws Error when the CA's PEM cannot be read */
export function issueLeaf(ca: KeyPair, request: LeafRequest): KeyPair {
  const signer = createPrivateKey(ca.key);
  const issuer = new X509Certificate(ca.cert);
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const usages = request.usage.map((use) => der.objectIdentifier(use === "server" ? OID.serverAuth : OID.clientAuth));
  const extensions = [
    extension(OID.basicConstraints, true, der.sequence()),
    extension(OID.keyUsage, true, der.namedBits([KEY_USAGE.digitalSignature])),
    extension(OID.extendedKeyUsage, false, der.sequence(...usages)),
    extension(OID.subjectKeyId, false, der.octetString(keyId(publicKey))),
    extension(OID.authorityKeyId, false, der.sequence(der.implicit(0, keyId(issuer.publicKey)))),
    extension(OID.subjectAltName, false, der.sequence(...request.altNames.map(generalName))),
  ];
  const cert = certificate({ request, issuer: nameOf(commonNameOf(issuer)), publicKey, signer, extensions });
  return { cert, key: pem(privateKey) };
}

interface Parts {
  request: CaRequest;
  issuer: Buffer;
  publicKey: KeyObject;
  signer: KeyObject;
  extensions: Buffer[];
}

function certificate({ request, issuer, publicKey, signer, extensions }: Parts): string {
  const algorithm = der.sequence(der.objectIdentifier(OID.ecdsaWithSha256));
  const notAfter = new Date(request.nowMs + request.validDays * DAY_MS);
  const body = der.sequence(
    der.explicit(0, der.integer(2)),
    der.integer(serialNumber()),
    algorithm,
    issuer,
    der.sequence(der.time(new Date(request.nowMs - BACKDATE_MS)), der.time(notAfter)),
    nameOf(request.commonName),
    publicKey.export({ type: "spki", format: "der" }),
    der.explicit(3, der.sequence(...extensions)),
  );
  const whole = der.sequence(body, algorithm, der.bitString(sign("sha256", body, signer)));
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** 128 random bits, positive: unique without a counter. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function nameOf(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.objectIdentifier(OID.commonName), der.utf8String(commonName))));
}

function commonNameOf(certificate: X509Certificate): string {
  return /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? "";
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const head = critical ? [der.objectIdentifier(id), der.boolean(true)] : [der.objectIdentifier(id)];
  return der.sequence(...head, der.octetString(value));
}

/** RFC 5280 section 4.2.1.2, method 1: SHA-1 of the public key bits (an identifier, not a protection). */
function keyId(key: KeyObject): Buffer {
  const point = key.export({ type: "spki", format: "der" }).subarray(-65);
  return createHash("sha1").update(point).digest();
}

function generalName(name: string): Buffer {
  if (isIPv4(name)) return der.implicit(7, Buffer.from(name.split(".").map(Number)));
  if (isIPv6(name)) return der.implicit(7, ipv6Bytes(name));
  return der.implicit(2, Buffer.from(name, "ascii"));
}

/** IPv6 addresses in their shortest form, everything else in lower case: equal names become equal text. */
export function canonicalName(name: string): string {
  return isIPv6(name) ? new URL(`http://[${name}]/`).hostname.slice(1, -1) : name.toLowerCase();
}

function ipv6Bytes(address: string): Buffer {
  const [head = "", tail] = canonicalName(address).split("::");
  const words = (text: string) => (text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16)));
  const before = words(head);
  const after = words(tail ?? "");
  const all = tail === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((word: number) => [word >> 8, word & 0xff]));
}

function pem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** What the operator needs to know about an existing certificate. */
export interface CertificateFacts {
  notAfterMs: number;
  /** DNS names and IP addresses, canonical. */
  altNames: string[];
}

/** `undefined` when it is no PEM certificate. */
export function readCertificate(certPem: string): CertificateFacts | undefined {
  try {
    const parsed = new X509Certificate(certPem);
    const altNames = (parsed.subjectAltName ?? "").split(", ").map((name) => name.replace(/^(DNS|IP Address):/, ""));
    return {
      notAfterMs: parsed.validToDate.getTime(),
      altNames: altNames.filter((name) => name !== "").map(canonicalName),
    };
  } catch {
    return undefined;
  }
}

/** Was `certPem` signed by `caPem`? False for anything unreadable. */
export function isIssuedBy(certPem: string, caPem: string): boolean {
  try {
    return new X509Certificate(certPem).verify(new X509Certificate(caPem).publicKey);
  } catch {
    return false;
  }
}
