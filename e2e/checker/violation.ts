// SPDX-License-Identifier: Apache-2.0

/** Checks of a history. C1-C6 are built; the names are those of the delivery design. */
export const CHECKS = ["C1", "C2", "C3", "C4", "C5", "C6"] as const;
export type Check = (typeof CHECKS)[number];

/** What each check finds, for reports. */
export const CHECK_NAMES: Readonly<Record<Check, string>> = {
  C1: "lost",
  C2: "duplicate",
  C3: "order or gap",
  C4: "divergent",
  C5: "unexpected",
  C6: "real time order",
};

/** One broken promise. */
export interface Violation {
  check: Check;
  /** The finer kind within the check, e.g. `gap` and `order` of C3. */
  kind: string;
  /** One sentence with the ids that a person needs to find it in the history. */
  message: string;
}
