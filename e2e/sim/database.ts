// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Calls, Server } from "./calls.ts";
import type { Proc } from "./kernel.ts";

/** Told of every method that is carried out, before it is. */
export type Journal = (path: readonly string[], args: readonly unknown[]) => void;

/**
 * A store as one process sees it over the network: every method of `target` is a call that may be late, lost on the way
 * or, after it was carried out, lost on the way back (a COMMIT whose outcome is unknown). Transactions are serializable:
 * one method of `target` is one step.
 *
 * @param target the store that there is now; another one after a restore
 */
export function storeOf<S extends object>(
  { calls, proc, server, journal }: { calls: Calls; proc: Proc; server: Server; journal: Journal },
  target: () => S,
  path: readonly string[] = [],
): S {
  const lost = (name: string): Error => new ImError(ErrorCode.RETRYABLE, `${name}: no answer from the database`);
  return new Proxy(target(), {
    get(_, key) {
      const read = (): unknown => Reflect.get(target(), key, target());
      const value = read();
      const ownPath = [...path, String(key)];
      // A part of the store with methods of its own.
      if (typeof value === "object" && value !== null)
        return storeOf({ calls, proc, server, journal }, read as () => object, ownPath);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const name = (): string => `store.${ownPath.join(".")}`;
        // Arguments are taken as they are now: a driver has encoded them before it returns.
        return calls.call(
          proc,
          server,
          name,
          () => {
            journal(ownPath, args);
            return (read() as (...args: unknown[]) => unknown).apply(target(), args);
          },
          () => lost(name()),
        );
      };
    },
  });
}
