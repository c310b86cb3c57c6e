// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Calls, Server } from "./calls.ts";
import type { Proc } from "./kernel.ts";

/**
 * A store as one process sees it over the network: every method of `target` is a call that may be late, lost on the way
 * or, after it was carried out, lost on the way back (a COMMIT whose outcome is unknown). Transactions are serializable:
 * one method of `target` is one step.
 */
export function storeOf<S extends object>(calls: Calls, proc: Proc, server: Server, target: S, prefix = "store"): S {
  const lost = (name: string): Error => new ImError(ErrorCode.RETRYABLE, `${name}: no answer from the database`);
  return new Proxy(target, {
    get(_, key) {
      const value: unknown = Reflect.get(target, key, target);
      // A part of the store with methods of its own.
      if (typeof value === "object" && value !== null)
        return storeOf(calls, proc, server, value, `${prefix}.${String(key)}`);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const name = (): string => `${prefix}.${String(key)}`;
        // Arguments are taken as they are now: a driver has encoded them before it returns.
        return calls.call(
          proc,
          server,
          name,
          () => (value as (...args: unknown[]) => unknown).apply(target, args),
          () => lost(name()),
        );
      };
    },
  });
}
