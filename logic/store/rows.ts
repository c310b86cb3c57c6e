// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Row } from "./postgres-pool.ts";
import type { Subject } from "./store.ts";

/** Column of a row. @throws {ImError} INTERNAL when there is none, or NULL in it */
export function text(row: Row | undefined, column: number): string {
  const value = row?.[column];
  if (value === undefined || value === null) throw new ImError(ErrorCode.INTERNAL, `no column ${column} in the row`);
  return value;
}

/** As {@link text}, for integers below 2^53. */
export function number(row: Row | undefined, column: number): number {
  return Number(text(row, column));
}

/** Type and id of a subject, in this column and the next; undefined: nothing was named. */
export function subjectIn(row: Row, column: number): Subject | undefined {
  const [type, id] = [row[column] ?? "", row[column + 1] ?? ""];
  return type === "" ? undefined : { type, id };
}
