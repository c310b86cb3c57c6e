// SPDX-License-Identifier: Apache-2.0
import type { PeerCertificate } from "node:tls";

/** What a caller has proved by TLS: a certificate of the authority in ca.crt. */
export interface ClientCertificate {
  /** By what it may be bound to a key: `sha256:` of it, and the `dns:` and `uri:` names in it. */
  readonly bindings: readonly string[];
  /** It is good until then. */
  readonly expiresMs: number;
}

/** How a binding is written: no wildcards, names in lower case. */
export const BINDING = /^(sha256:[0-9a-f]{64}|dns:[a-z0-9._-]{1,253}|uri:[a-z][a-z0-9+.-]{0,30}:[!-~]{1,2000})$/;

const SHA256 = /^[0-9A-F]{2}(:[0-9A-F]{2}){31}$/;
const MAX_NAMES = 32;

/** @param peer as node:tls shows it once it was verified; undefined: nothing to go by */
export function readCertificate(
  peer: Pick<Partial<PeerCertificate>, "fingerprint256" | "subjectaltname" | "valid_to"> | null | undefined,
): ClientCertificate | undefined {
  const { fingerprint256 = "", subjectaltname = "", valid_to: validTo = "" } = peer ?? {};
  const expiresMs = Date.parse(validTo);
  if (!SHA256.test(fingerprint256) || !Number.isFinite(expiresMs)) return undefined;
  const digest = `sha256:${fingerprint256.replaceAll(":", "").toLowerCase()}`;
  return { bindings: [digest, ...namesIn(subjectaltname)], expiresMs };
}

/** node:tls puts what has a comma or a quote into quotes: then it cannot be taken apart safely, and no name counts. */
function namesIn(subjectAltName: string): string[] {
  if (subjectAltName.includes('"')) return [];
  const names: string[] = [];
  for (const entry of subjectAltName.split(", ").slice(0, MAX_NAMES)) {
    const [, kind = "", value = ""] = /^(DNS|URI):(.+)$/.exec(entry) ?? [];
    const binding = kind === "DNS" ? `dns:${value.toLowerCase()}` : `uri:${value}`;
    if (BINDING.test(binding)) names.push(binding);
  }
  return names;
}
