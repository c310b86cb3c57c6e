// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";

/** The `Status` object with which the API server answers a refused request. */
export interface KubeStatus {
  code?: number;
  reason?: string;
  message?: string;
  details?: { retryAfterSeconds?: number; causes?: { reason?: string; message?: string; field?: string }[] };
}

/** Options of {@link KubeError}. */
export interface KubeErrorOptions extends ErrorOptions {
  retryAfterMs?: number;
  causes?: readonly string[];
}

/**
 * A refused or failed call of the Kubernetes API. `status` is the HTTP status, 0 when there was no answer (then `reason`
 * is `Network` or `Timeout`, and a write may or may not have happened). `retryable`: 408, 429, 5xx and no answer.
 */
export class KubeError extends ImError {
  readonly status: number;
  /** `Status.reason` of the API server, for example `Conflict`, `AlreadyExists`, `Invalid`, `Expired`. */
  readonly reason: string;
  /** `Status.details.causes[].reason` as sent, for example `ResourceVersionTooLarge`, `DisruptionBudget`. */
  readonly causes: readonly string[];

  constructor(status: number, reason: string, message: string, options: KubeErrorOptions = {}) {
    super(codeOf(status), message, {
      cause: options.cause,
      retryable: isRetryable(status),
      retryAfterMs: options.retryAfterMs ?? 0,
    });
    this.name = "KubeError";
    this.status = status;
    this.reason = reason;
    this.causes = options.causes ?? [];
  }

  /** Somebody else wrote first, or a precondition (UID, resourceVersion, field manager) did not hold: read again. */
  get isConflict(): boolean {
    return this.status === 409 && this.reason !== "AlreadyExists";
  }

  /** The resourceVersion that a list or watch asked for is no longer held: list again from scratch. */
  get isExpired(): boolean {
    return this.status === 410;
  }
}

/** Error of a `Status` object, from an answer's body or from an ERROR event of a watch. */
export function kubeErrorOf(httpStatus: number, status: KubeStatus, context: string, retryAfterMs?: number): KubeError {
  const causes = status.details?.causes ?? [];
  // A UID that is not the object's is refused as an invalid change of it when the object exists, and as a conflict when
  // it does not: both are the precondition that failed.
  const isOtherUid = status.reason === "Invalid" && causes.some((cause) => cause.field === "metadata.uid");
  const code = isOtherUid ? 409 : (status.code ?? httpStatus);
  const reason = isOtherUid ? "Conflict" : (status.reason ?? `HTTP${code}`);
  const afterSeconds = status.details?.retryAfterSeconds ?? 0;
  return new KubeError(code, reason, `${context}: ${status.message ?? `status ${code}`}`, {
    retryAfterMs: Math.max(retryAfterMs ?? 0, afterSeconds * 1000),
    causes: causes.flatMap((cause) => (cause.reason ? [cause.reason] : [])),
  });
}

function isRetryable(status: number): boolean {
  return status === 0 || status === 408 || status === 429 || status >= 500;
}

function codeOf(status: number): ErrorCode {
  switch (status) {
    case 400:
    case 422:
      return ErrorCode.BAD_REQUEST;
    case 401:
      return ErrorCode.UNAUTHENTICATED;
    case 403:
      return ErrorCode.PERMISSION_DENIED;
    case 404:
    case 410:
      return ErrorCode.NOT_FOUND;
    case 409:
      return ErrorCode.CONFLICT;
    case 413:
      return ErrorCode.TOO_LARGE;
    case 429:
      return ErrorCode.BUSY;
    default:
      return isRetryable(status) ? ErrorCode.RETRYABLE : ErrorCode.INTERNAL;
  }
}
