// SPDX-License-Identifier: Apache-2.0
import { ErrorCode } from "#lib/errors.ts";
import type { Refusal } from "../session/session.ts";

/** Nothing was done. */
export const OVERLOADED: Refusal = {
  code: ErrorCode.BUSY,
  reason: "the cluster is overloaded: ask again after the delay",
  retryable: true,
  retryAfterMs: 1000,
};
