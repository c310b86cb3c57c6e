// SPDX-License-Identifier: Apache-2.0

/** Checks of a history. */
export const CHECKS = ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "C12", "C13"] as const;
export type Check = (typeof CHECKS)[number];

/** What each check finds, for reports. */
export const CHECK_NAMES: Readonly<Record<Check, string>> = {
  C1: "lost",
  C2: "duplicate",
  C3: "order or gap",
  C4: "divergent",
  C5: "unexpected",
  C6: "real time order",
  C7: "notify",
  C8: "single session",
  C9: "broadcast",
  C10: "authorization",
  C11: "revocation",
  C12: "router register",
  C13: "liveness",
};

/** One broken promise. */
export interface Violation {
  check: Check;
  /** The finer kind within the check, e.g. `gap` and `order` of C3. */
  kind: string;
  /** One sentence with the ids that a person needs to find it in the history. */
  message: string;
}

/** Takes one violation; the checks never stop at the first. */
export type Report = (violation: Violation) => void;

/** Reports for one check. */
export function reporter(check: Check, report: Report): (kind: string, message: string) => void {
  return (kind, message) => report({ check, kind, message });
}
