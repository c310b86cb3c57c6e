// SPDX-License-Identifier: Apache-2.0
import type { Session } from "./session/session.ts";

/** Takes one command of a client and answers it: exactly one reply or ERROR for a `rid` above 0. `body` is a view: copy what must last. */
export type CommandHandler = (session: Session, rid: number, body: Uint8Array) => void;

/** Handlers by number of their command. */
export type CommandHandlers = ReadonlyMap<number, CommandHandler>;

/**
 * The handlers of several parts as one map.
 * @throws Error when two parts want one command: a mistake of whoever composed them
 */
export function joinHandlers(parts: Iterable<CommandHandlers>): CommandHandlers {
  const joined = new Map<number, CommandHandler>();
  for (const part of parts) {
    for (const [cmd, handler] of part) {
      if (joined.has(cmd)) throw new Error(`command ${cmd} has two handlers`);
      joined.set(cmd, handler);
    }
  }
  return joined;
}
