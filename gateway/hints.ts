// SPDX-License-Identifier: Apache-2.0

/** Addresses that a client is told. */
const HINTS_A_CLIENT = 3;

/**
 * Addresses of entries with room, for clients that are asked to move. Each client's begin with another one, so that a crowd does
 * not run to the emptiest.
 */
export class Hints {
  /** The best first. */
  endpoints: readonly string[] = [];
  #turn = 0;

  /** What the next client is told. */
  next(): readonly string[] {
    const { endpoints } = this;
    if (endpoints.length <= 1) return endpoints;
    const from = this.#turn++ % endpoints.length;
    return [...endpoints.slice(from), ...endpoints.slice(0, from)].slice(0, HINTS_A_CLIENT);
  }
}
