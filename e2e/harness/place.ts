// SPDX-License-Identifier: Apache-2.0

/** Where a process of a test runs. */
export interface Place {
  /** Address by which the others and the test reach it. */
  readonly host: string;
  /** Command that runs the rest of its arguments in that place, by exec; empty = here. */
  readonly enter: readonly string[];
}

/** The network of this process. */
export const LOOPBACK: Place = { host: "127.0.0.1", enter: [] };
