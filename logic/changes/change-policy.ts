// SPDX-License-Identifier: Apache-2.0

/** How long after it was sent a message may be changed, ms; 0 = never. */
export interface ChangePolicy {
  readonly recallWindowMs: number;
  readonly editWindowMs: number;
}

export const DEFAULT_CHANGE_POLICY: ChangePolicy = { recallWindowMs: 120_000, editWindowMs: 900_000 };
