// SPDX-License-Identifier: Apache-2.0

/** From "nobody need act" to "act now", as testssl.sh names them. */
export const SEVERITIES = ["low", "medium", "high", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** One thing that was looked at. */
export interface Check {
  /** `area: what`, the same in every run. */
  name: string;
  /** Undefined: as it should be. */
  fault?: Severity | undefined;
  /** What was seen. */
  detail: string;
  /** Why this fault does not count; undefined: it does. */
  allowedFor?: string | undefined;
}

/** Of a whole run. */
export interface Verdict {
  checks: number;
  /** Faults of medium severity and above. */
  findings: number;
  /** Faults that are told, but turn nothing red. */
  low: number;
  allowed: number;
  ok: boolean;
}

/** @param detail what is wrong; undefined or empty: nothing */
export function check(name: string, severity: Severity, detail: string | undefined, fine = "as it should be"): Check {
  return detail ? { name, fault: severity, detail } : { name, detail: fine };
}

export function isFinding({ fault, allowedFor }: Check): boolean {
  return fault !== undefined && fault !== "low" && allowedFor === undefined;
}

/** Nothing looked at is nothing proven: such a run is not fine. */
export function verdictOf(checks: readonly Check[]): Verdict {
  const findings = checks.filter(isFinding).length;
  const low = checks.filter(({ fault, allowedFor }) => fault === "low" && allowedFor === undefined).length;
  const allowed = checks.filter(({ fault, allowedFor }) => fault !== undefined && allowedFor !== undefined).length;
  return { checks: checks.length, findings, low, allowed, ok: findings === 0 && checks.length > 0 };
}

/** One line of progress. */
export function lineOf(one: Check): string {
  const { name, fault, detail, allowedFor } = one;
  if (fault === undefined) return `ok       ${name}: ${detail}`;
  if (allowedFor !== undefined) return `allowed  ${name}: ${detail} (${allowedFor})`;
  return `${isFinding(one) ? `✖ ${fault.padEnd(6)}` : "low     "} ${name}: ${detail}`;
}
