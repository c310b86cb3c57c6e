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
  /** Parts and methods, made once. */
  const known = new Map<string | symbol, unknown>();
  const lost = (name: string): Error => new ImError(ErrorCode.RETRYABLE, `${name}: no answer from the database`);
  return new Proxy(target(), {
    get(_, key) {
      const made = known.get(key);
      if (made !== undefined) return made;
      const read = (): unknown => Reflect.get(target(), key, target());
      const value = read();
      const ownPath = [...path, String(key)];
      // A part of the store with methods of its own.
      if (typeof value === "object" && value !== null) {
        const part = storeOf({ calls, proc, server, journal }, read as () => object, ownPath);
        known.set(key, part);
        return part;
      }
      if (typeof value !== "function") return value;
      const name = (): string => `store.${ownPath.join(".")}`;
      const method = (...args: unknown[]) => {
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
      known.set(key, method);
      return method;
    },
  });
}
