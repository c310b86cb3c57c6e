// SPDX-License-Identifier: Apache-2.0

/** Fields of errors that say what went wrong and never with what: drivers put commands, rows and credentials into others. */
const SHOWN: ReadonlySet<string> = new Set([
  ...["type", "message", "stack", "code", "retryable", "status"],
  // Of the system's errors.
  ...["errno", "syscall", "address", "port", "hostname"],
  // Of PostgreSQL's. Its `detail` and `where` hold values.
  ...["severity", "schema", "table", "column", "constraint", "routine"],
]);

/**
 * Makes what shows an error as a log may hold it: kind, message, code and stack, each with those of its causes, and of an aggregate
 * its members.
 *
 * @param serialise shows everything that is in an error
 */
export function errorSerializer(serialise: (error: Error) => object): (thrown: unknown) => object {
  return (thrown) => {
    if (thrown instanceof Error) return shown(serialise(thrown));
    return { type: typeof thrown, message: typeof thrown === "string" ? thrown : "no Error" };
  };
}

function shown(serialised: object): object {
  const fields = Object.entries(serialised).filter(([name, value]) => SHOWN.has(name) && typeof value !== "object");
  const members = (serialised as { aggregateErrors?: readonly object[] }).aggregateErrors;
  return { ...Object.fromEntries(fields), ...(members ? { aggregateErrors: members.map(shown) } : {}) };
}
