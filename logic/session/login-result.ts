// SPDX-License-Identifier: Apache-2.0
import { DisconnectCode } from "#lib/codes.ts";
import type { LoginOutcome } from "./login.ts";

/** What a login came to, as a metric label. `other`: a code that this list does not know. */
export const LOGIN_RESULTS = [
  ...(["ok", "fenced", "bad_hello", "version", "token_invalid", "token_expired", "revoked"] as const),
  ...(["flapping", "replaced", "store_away", "overloaded", "other"] as const),
] as const;
export type LoginResult = (typeof LOGIN_RESULTS)[number];

const BY_CODE: ReadonlyMap<number, LoginResult> = new Map<number, LoginResult>([
  [DisconnectCode.PROTOCOL_ERROR, "bad_hello"],
  [DisconnectCode.VERSION_UNSUPPORTED, "version"],
  [DisconnectCode.TOKEN_INVALID, "token_invalid"],
  [DisconnectCode.TOKEN_EXPIRED, "token_expired"],
  [DisconnectCode.TOKEN_REVOKED, "revoked"],
  [DisconnectCode.FLAPPING, "flapping"],
  [DisconnectCode.KICKED, "replaced"],
  [DisconnectCode.SUPERSEDED, "replaced"],
  [DisconnectCode.LOGIC_UNAVAILABLE, "store_away"],
  [DisconnectCode.OVERLOADED, "overloaded"],
]);

export function loginResult(outcome: LoginOutcome): LoginResult {
  return outcome.kind === "denied" ? (BY_CODE.get(outcome.code) ?? "other") : outcome.kind;
}
