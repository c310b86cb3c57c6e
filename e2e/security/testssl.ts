// SPDX-License-Identifier: Apache-2.0
// What testssl.sh writes with --jsonfile, as checks.
import { type Check, check, SEVERITIES, type Severity } from "./checks.ts";

/** One line of its report. */
export interface TestsslItem {
  id: string;
  /** OK, INFO, LOW, MEDIUM, HIGH, CRITICAL; WARN, FATAL: the scan itself went wrong. */
  severity: string;
  finding: string;
}

/** A finding that says nothing about the entry. Exactly this id with exactly this text. */
export interface AllowedFinding {
  id: string;
  finding: string;
  reason: string;
}

export const ALLOWED_FINDINGS: readonly AllowedFinding[] = [
  {
    id: "cert_revocation",
    finding: "Neither CRL nor OCSP URI provided",
    reason: "the authority is made for the test: who issues a real certificate says how it is revoked",
  },
  {
    id: "DNS_CAArecord",
    finding: "--",
    reason: "the name exists in the test only: no DNS is asked",
  },
  {
    id: "engine_problem",
    finding: "No engine or GOST support via engine with your /usr/bin/openssl",
    reason: "about the scanner's openssl, not about the entry",
  },
];

/** Without these the scan did not do what it is for. */
const REQUIRED_IDS = [
  "TLS1_3",
  "TLS1_2",
  "TLS1_1",
  "SSLv3",
  "cipherlist_NULL",
  "cipherlist_STRONG",
  "cipherlist_AVERAGE",
  "PFS",
  "cert_chain_of_trust",
  "HSTS_time",
  "banner_server",
  "heartbleed",
  "secure_client_renego",
  "ROBOT",
  "LUCKY13",
  "scanTime",
];

const NOT_ASSESSED = ["INFO", "DEBUG"];

function isItem(value: unknown): value is TestsslItem {
  const item = value as Partial<Record<keyof TestsslItem, unknown>> | null;
  return (
    typeof item === "object" &&
    item !== null &&
    typeof item.id === "string" &&
    typeof item.severity === "string" &&
    typeof item.finding === "string"
  );
}

function itemsOf(json: string): TestsslItem[] | undefined {
  try {
    const parsed: unknown = JSON.parse(json);
    return Array.isArray(parsed) && parsed.every(isItem) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** @returns undefined for what is fine; a severity that we do not know counts as high */
function faultOf(severity: string): Severity | undefined {
  if (severity === "OK") return undefined;
  if (severity === "WARN") return "medium";
  return SEVERITIES.find((known) => known === severity.toLowerCase()) ?? "high";
}

/**
 * A check for everything that testssl.sh assessed, and one for the scan: a report that cannot be read, or lacks parts, is a
 * finding as well.
 */
export function checksOfTestssl(
  area: string,
  json: string,
  allowed: readonly AllowedFinding[] = ALLOWED_FINDINGS,
): Check[] {
  const items = itemsOf(json);
  if (!items) return [check(`${area}: report`, "high", "testssl.sh wrote no report that can be read")];
  const ids = new Set(items.map(({ id }) => id));
  const missing = REQUIRED_IDS.filter((id) => !ids.has(id));
  const lacks = missing.length > 0 ? `the scan says nothing about ${missing.join(", ")}` : undefined;
  const assessed = items.filter(({ severity }) => !NOT_ASSESSED.includes(severity));
  return [
    check(`${area}: report`, "high", lacks, `${items.length} lines`),
    ...assessed.map(({ id, severity, finding }) => {
      const reason = allowed.find((one) => one.id === id && one.finding === finding)?.reason;
      return { name: `${area}: ${id}`, fault: faultOf(severity), detail: finding, allowedFor: reason };
    }),
  ];
}
