// SPDX-License-Identifier: Apache-2.0

/**
 * Where a client is. `idle` until `connect()`; `connecting` until the first login; `open` while logged in;
 * `reconnecting` while it tries again by itself; `closed` after `close()` or a code that forbids reconnecting.
 */
export type ClientState =
  | { readonly kind: "idle" }
  | { readonly kind: "connecting"; readonly attempt: number; readonly code: number; readonly reason: string }
  | {
      readonly kind: "open";
      readonly userId: string;
      readonly sessionId: string;
      /** Name of the entry that holds the connection, for people. */
      readonly entryId: string;
    }
  | {
      readonly kind: "reconnecting";
      /** Attempts since the connection was lost, from 1. */
      readonly attempt: number;
      /** `DisconnectCode` or `ClientCode` of the last failure. */
      readonly code: number;
      readonly reason: string;
      /** Pause before this attempt, ms. */
      readonly delayMs: number;
    }
  | {
      readonly kind: "closed";
      readonly code: number;
      readonly reason: string;
      /** With KICKED: name of the device that took the place. */
      readonly byDevice: string;
    };
