// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, errorCodeName, ImError, toImError } from "./errors.ts";

/** gRPC status codes, as in the specification. */
export const GrpcStatus = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** The one mapping between our codes and gRPC's; the first code of a status is what the client's side reads. */
const PAIRS: readonly (readonly [ErrorCode, number])[] = [
  [ErrorCode.BAD_REQUEST, GrpcStatus.INVALID_ARGUMENT],
  [ErrorCode.UNAUTHENTICATED, GrpcStatus.UNAUTHENTICATED],
  [ErrorCode.PERMISSION_DENIED, GrpcStatus.PERMISSION_DENIED],
  [ErrorCode.NOT_FOUND, GrpcStatus.NOT_FOUND],
  [ErrorCode.CONFLICT, GrpcStatus.ABORTED],
  [ErrorCode.BUSY, GrpcStatus.RESOURCE_EXHAUSTED],
  [ErrorCode.RATE_LIMITED, GrpcStatus.RESOURCE_EXHAUSTED],
  [ErrorCode.RETRYABLE, GrpcStatus.UNAVAILABLE],
  [ErrorCode.RETRYABLE, GrpcStatus.DEADLINE_EXCEEDED],
  [ErrorCode.RETRYABLE, GrpcStatus.CANCELLED],
  [ErrorCode.UNKNOWN_COMMAND, GrpcStatus.UNIMPLEMENTED],
  [ErrorCode.FENCED, GrpcStatus.FAILED_PRECONDITION],
];

/** Status that a server answers for `error`. */
export function statusOf(error: ImError): { code: number; details: string } {
  const code = PAIRS.find(([imCode]) => imCode === error.code)?.[1] ?? GrpcStatus.INTERNAL;
  return { code, details: `${errorCodeName(error.code)}: ${error.message}` };
}

/** ImError of a failed call; INTERNAL for a status without a meaning here. */
export function fromGrpcError(error: unknown): ImError {
  if (error instanceof ImError) return error;
  const { code, details } = error as { code?: unknown; details?: unknown };
  const imCode = PAIRS.find(([, status]) => status === code)?.[0] ?? ErrorCode.INTERNAL;
  const message = typeof details === "string" && details !== "" ? details : toImError(error).message;
  return new ImError(imCode, message, { cause: error });
}
