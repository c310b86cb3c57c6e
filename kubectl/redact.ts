// SPDX-License-Identifier: Apache-2.0
import type { Secret } from "../operator/kube/types.ts";
import { readCertificate } from "../operator/pki/x509.ts";

/** Shorter values would be found everywhere, and protect nothing. */
const MIN_SECRET_CHARS = 6;
/** What is public in a Secret: certificates and public keys. */
const PUBLIC_KEYS = new Set(["tls.crt", "ca.crt", "jwks.json"]);
/** Not secret by itself, and part of every address. */
const PLAIN_KEYS = new Set(["username", "database", "user", "host", "port"]);
const SECRET_NAME = /passw|secret|token|credential|private|api_?key|auth/i;

const PATTERNS: readonly [RegExp, string][] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g, "[private key]"],
  // A text with escaped line ends, as it stands in JSON.
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----/g, "[private key]"],
  [/\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*/g, "[token]"],
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']*@/gi, "$1[credentials]@"],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}/g, "$1 [credentials]"],
];

/** Takes out of texts what the given Secrets hold, and what looks like a secret. */
export class Redactor {
  readonly #values: readonly string[];

  constructor(secrets: readonly Secret[]) {
    // Longest first: one may be part of another.
    this.#values = [...new Set(secrets.flatMap(formsOf))].sort((a, b) => b.length - a.length);
  }

  text(text: string): string {
    let clean = text;
    for (const value of this.#values) clean = clean.replaceAll(value, "[redacted]");
    for (const [pattern, instead] of PATTERNS) clean = clean.replace(pattern, instead);
    return clean;
  }

  /** An object of Kubernetes without values of Secrets, of variables with a telling name, and of what nobody needs. */
  object(object: unknown): unknown {
    return this.#walk(object, "");
  }

  #walk(value: unknown, key: string): unknown {
    if (typeof value === "string") return SECRET_NAME.test(key) && isVariable(key) ? "[redacted]" : this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.#walk(item, key));
    if (typeof value !== "object" || value === null) return value;
    const { name, value: literal } = value as { name?: unknown; value?: unknown };
    // A variable of a container: its value is in the open, but its name says that it should not be.
    if (typeof name === "string" && typeof literal === "string" && SECRET_NAME.test(name))
      return { ...value, value: "[redacted]" };
    const entries = Object.entries(value).filter(([field]) => !LEFT_OUT.has(field));
    return Object.fromEntries(entries.map(([field, inner]) => [this.text(field), this.#walk(inner, field)]));
  }
}

const LEFT_OUT = new Set(["managedFields", "kubectl.kubernetes.io/last-applied-configuration"]);

/** `PGPASSWORD` and the like; fields of Kubernetes such as `secretName` are names, not values. */
function isVariable(key: string): boolean {
  return /^[A-Z][A-Z0-9_]*$/.test(key);
}

/** Every form in which a value may turn up in a text. */
function formsOf({ data = {}, stringData = {} }: Secret): string[] {
  const isHidden = ([key]: [string, string]): boolean => !PUBLIC_KEYS.has(key) && !PLAIN_KEYS.has(key);
  const stored = Object.entries(data).filter(isHidden);
  const decoded = stored.map(([, value]) => Buffer.from(value, "base64").toString("utf8"));
  const given = Object.entries(stringData).filter(isHidden);
  // As it is stored, too: bytes that are no text have no other form.
  const raw = stored.map(([, value]) => value).filter((value) => value.length >= MIN_SECRET_CHARS);
  return [...raw, ...[...decoded, ...given.map(([, value]) => value)].flatMap(formsOfValue)];
}

function formsOfValue(value: string): string[] {
  const trimmed = value.trim();
  const inner = [...trimmed.matchAll(/:\/\/[^\s/@:]*:([^\s/@]+)@/g)].map(([, password = ""]) => password);
  const wholes = [value, trimmed, ...inner, ...linesOf(trimmed)];
  return wholes
    .filter((whole) => whole.length >= MIN_SECRET_CHARS)
    .flatMap((whole) => [
      whole,
      JSON.stringify(whole).slice(1, -1),
      encodeURIComponent(whole),
      Buffer.from(whole).toString("base64"),
      Buffer.from(whole).toString("base64url"),
    ]);
}

/** Lines of a key, and members of a JSON value: each alone gives it away. */
function linesOf(value: string): string[] {
  if (value.startsWith("{"))
    return [...value.matchAll(/"(?:d|k|p|q|private_key|secret|password)"\s*:\s*"([^"]+)"/g)].map(
      ([, inner = ""]) => inner,
    );
  return value.includes("\n") ? value.split("\n").filter((line) => line.length >= 16 && !line.startsWith("-----")) : [];
}

/** What may be known of a Secret: its keys, how long their values are, and what certificates say of themselves. */
export function secretSummary({ metadata, type, data = {} }: Secret): object {
  const { name, namespace, labels, uid, creationTimestamp } = metadata;
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, labels, uid, creationTimestamp },
    type,
    keys: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, keySummary(key, value)])),
  };
}

function keySummary(key: string, base64: string): object {
  const bytes = Buffer.from(base64, "base64");
  const facts = key.endsWith(".crt") ? readCertificate(bytes.toString("utf8")) : undefined;
  if (!facts) return { bytes: bytes.length };
  return { bytes: bytes.length, notAfter: new Date(facts.notAfterMs).toISOString(), names: facts.altNames };
}
