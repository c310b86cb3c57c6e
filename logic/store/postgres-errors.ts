// SPDX-License-Identifier: Apache-2.0
import pg from "pg";
import { ErrorCode, ImError } from "#lib/errors.ts";

/** Undone completely by the server and likely to pass when repeated at once: serialization failure, deadlock. */
const CONFLICTS: ReadonlySet<string> = new Set(["40001", "40P01"]);
const UNIQUE_VIOLATION = "23505";
/** By its timeout, or by an operator. */
const QUERY_CANCELED = "57014";
/** Of ours: see require_group_versions_v1 in migrations/. */
const GROUP_CHANGED = "IM001";
/** Of ours: see append_v1 in migrations/. */
const PAIR_BLOCKED = "IM002";
const IDEMPOTENCY_KEY = "idempotency_pkey";

/**
 * SQLSTATE classes and codes after which the same request may be repeated later: connection trouble (08), resources
 * such as disk full or too many connections (53), operator intervention such as shutdown or a timeout (57), system
 * errors (58), conflicts (40), read-only, lock timeout.
 */
const RETRYABLE_CLASSES: ReadonlySet<string> = new Set(["08", "40", "53", "57", "58"]);
const RETRYABLE_CODES: ReadonlySet<string> = new Set(["25006", "55P03"]);
/** Invalid byte sequence (a NUL) and other data the caller should not have sent. */
const BAD_DATA_CLASS = "22";

/** SQLSTATE of a server error, undefined for anything else. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Did the server undo the statement because of another one, so that repeating it at once makes sense? */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(sqlState(error) ?? "");
}

/** Is this error of an append the violation of the unique (sender, client message id)? */
export function isDuplicateKey(error: unknown): boolean {
  const cause = error instanceof ImError ? error.cause : error;
  return sqlState(cause) === UNIQUE_VIOLATION && (cause as pg.DatabaseError).constraint === IDEMPOTENCY_KEY;
}

/** Did an append not know that one of a pair has blocked the other? */
export function isPairBlocked(error: unknown): boolean {
  return sqlState(error instanceof ImError ? error.cause : error) === PAIR_BLOCKED;
}

/** Is this error of an append that a group has other members than those that were read? */
export function isGroupChanged(error: unknown): boolean {
  return sqlState(error instanceof ImError ? error.cause : error) === GROUP_CHANGED;
}

/** May the connection be used again after this error? Not when it, or the server's role or life, is in doubt. */
export function isConnectionUsable(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && !["08", "57", "58"].includes(state.slice(0, 2)) && state !== "25006";
}

/**
 * Is the connection itself lost, or the server's role or life in doubt? A statement that took too long tells nothing about
 * others, nor does a mistake of ours.
 */
export function isConnectionLost(error: unknown): boolean {
  const isOurs = error instanceof TypeError || error instanceof RangeError || error instanceof ImError;
  return !isOurs && sqlState(error) !== QUERY_CANCELED && !isConnectionUsable(error);
}

/**
 * The one place where database errors become {@link ImError}: RETRYABLE when nothing is known or it may pass later,
 * BAD_REQUEST for data that PostgreSQL cannot hold, INTERNAL for a fault of ours.
 */
export function toStoreError(error: unknown, query: string): ImError {
  if (error instanceof ImError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const state = sqlState(error);
  if (state === undefined) {
    // Without an SQLSTATE it comes from the driver: a lost connection, a timeout. Our own mistakes are TypeErrors.
    const ours = error instanceof TypeError || error instanceof RangeError;
    const code = ours ? ErrorCode.INTERNAL : ErrorCode.RETRYABLE;
    return new ImError(code, `store ${query}: ${message}`, { cause: error });
  }
  return new ImError(codeOf(state), `store ${query}: ${message} (SQLSTATE ${state})`, { cause: error });
}

function codeOf(state: string): ErrorCode {
  if (RETRYABLE_CLASSES.has(state.slice(0, 2)) || RETRYABLE_CODES.has(state)) return ErrorCode.RETRYABLE;
  return state.startsWith(BAD_DATA_CLASS) ? ErrorCode.BAD_REQUEST : ErrorCode.INTERNAL;
}
