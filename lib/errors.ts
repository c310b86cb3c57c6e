// SPDX-License-Identifier: Apache-2.0

/**
 * Stable error codes. The number travels on the client wire (`Error.code`), the name in logs and metrics.
 * 1-99 answer one request and leave the connection open; disconnect codes live in `codes.ts`.
 */
export const ErrorCode = {
  UNKNOWN_COMMAND: 1,
  BAD_REQUEST: 2,
  UNAUTHENTICATED: 3,
  PERMISSION_DENIED: 4,
  NOT_FOUND: 5,
  CONFLICT: 6,
  TOO_LARGE: 7,
  RATE_LIMITED: 8,
  /** Shed before any work was done; always safe to retry after `retryAfterMs`. */
  BUSY: 9,
  /** The outcome is unknown (for example a lost COMMIT): retry with the same key. */
  RETRYABLE: 10,
  INTERNAL: 11,
  /** Cursor is ahead of the head, negative, or of another epoch. */
  CURSOR_INVALID: 12,
  /** This entry incarnation was fenced: it must close its sockets and exit. */
  FENCED: 13,
  /** A rule of the shop refused the message; the reason is for its sender to read. */
  BOUNCED: 14,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];
export type ErrorCodeName = keyof typeof ErrorCode;

const NAMES = new Map<number, ErrorCodeName>(
  Object.entries(ErrorCode).map(([name, code]) => [code, name as ErrorCodeName]),
);

/** Name of a code for logs and metric labels; `CODE_<n>` for one this build does not know. */
export function errorCodeName(code: number): string {
  return NAMES.get(code) ?? `CODE_${code}`;
}

/** Options of {@link ImError}. */
export interface ImErrorOptions extends ErrorOptions {
  /** May the same request be sent again with the same key? Default: by code. */
  retryable?: boolean;
  /** Lower bound in milliseconds before a retry. */
  retryAfterMs?: number;
}

const RETRYABLE: ReadonlySet<number> = new Set([ErrorCode.BUSY, ErrorCode.RETRYABLE, ErrorCode.RATE_LIMITED]);

/** A fault with a stable code. Expected outcomes are return values, never this. */
export class ImError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs: number;

  constructor(code: ErrorCode, message: string, options: ImErrorOptions = {}) {
    super(message, options);
    this.name = "ImError";
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** Wraps whatever was thrown; an {@link ImError} passes through unchanged. */
export function toImError(thrown: unknown, fallback: ErrorCode = ErrorCode.INTERNAL): ImError {
  if (thrown instanceof ImError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ImError(fallback, message, { cause: thrown });
}

/** Compile-time proof that a union was handled exhaustively. */
export function assertNever(value: never): never {
  throw new ImError(ErrorCode.INTERNAL, `unhandled case: ${JSON.stringify(value)}`);
}
