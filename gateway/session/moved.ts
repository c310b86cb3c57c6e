// SPDX-License-Identifier: Apache-2.0
import { DisconnectCode } from "#lib/codes.ts";
import type { Disconnect } from "#proto/gen/messages.ts";
import type { ConnectionState } from "./session.ts";

/** Its device has logged in on a newer connection, as it was asked to. */
export interface Moved {
  readonly why: Disconnect;
  /** It has hung up by then, or is told. */
  readonly tellTick: number;
}

/** Who has moved hangs up within this and need not be told: thousands do at the same time when an entry is drained. */
const MOVED_TICKS = 2;
const NEVER = Number.POSITIVE_INFINITY;

/** The state of a connection that is kicked because it did what GOAWAY asked for; undefined: it has to be told now. */
export function movedState(state: ConnectionState, why: Disconnect, nowTick: number): ConnectionState | undefined {
  if (state.kind !== "draining" || state.moved || why.code !== DisconnectCode.SUPERSEDED) return undefined;
  return { kind: "draining", session: state.session, moved: { why, tellTick: nowTick + MOVED_TICKS } };
}

/** When it has to be told after all; Infinity: never. */
export function tellTickOf(state: ConnectionState): number {
  return (state.kind === "draining" && state.moved?.tellTick) || NEVER;
}

/** What it has to be told now, if anything. */
export function whyTold(state: ConnectionState, nowTick: number): Disconnect | undefined {
  return state.kind === "draining" && state.moved && nowTick >= state.moved.tellTick ? state.moved.why : undefined;
}
