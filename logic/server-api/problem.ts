// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, type ImError } from "#lib/errors.ts";
import type { Fault } from "./validate.ts";

interface ProblemKind {
  readonly status: number;
  readonly title: string;
}

/** Stable codes of failed calls. Programs read `code`, people `detail`. */
export const PROBLEMS = {
  malformed: { status: 400, title: "The request cannot be read" },
  invalid: { status: 400, title: "The request does not fit its schema" },
  inverted_window: { status: 400, title: "The broadcast would end before it begins" },
  unknown_segment: { status: 400, title: "Segments have no such attribute" },
  empty_audience: { status: 400, title: "The broadcast is for nobody" },
  unauthenticated: { status: 401, title: "The API key is missing or not good" },
  forbidden: { status: 403, title: "The API key lacks the scope" },
  not_allowed: { status: 403, title: "The account may not do this" },
  not_found: { status: 404, title: "There is nothing of that name" },
  method_not_allowed: { status: 405, title: "The path takes other methods" },
  conflict: { status: 409, title: "The idempotency key belongs to another request" },
  in_progress: { status: 409, title: "The same request is being worked on" },
  stale: { status: 409, title: "There is a later state already" },
  no_list: { status: 409, title: "The broadcast has no list of users" },
  broadcast_over: { status: 409, title: "The broadcast is over" },
  too_many_users: { status: 409, title: "The list of users is full" },
  too_many_portions: { status: 409, title: "Users were added too often" },
  too_many_broadcasts: { status: 409, title: "Too many broadcasts are planned or in force" },
  too_many_conversations: { status: 409, title: "The two have too many conversations about single things" },
  too_large: { status: 413, title: "The body is too large" },
  unsupported_media_type: { status: 415, title: "The body is not JSON" },
  rate_limited: { status: 429, title: "Too many requests" },
  headers_too_large: { status: 431, title: "The headers are too large" },
  internal: { status: 500, title: "The server failed" },
  unavailable: { status: 503, title: "The outcome is not known, or a server is away" },
  busy: { status: 503, title: "The cluster is overloaded" },
} as const satisfies Record<string, ProblemKind>;
export type ProblemCode = keyof typeof PROBLEMS;

/** Why a call failed. */
export interface Refusal {
  readonly kind: "refused";
  readonly code: ProblemCode;
  /** One sentence that says what to do. */
  readonly detail: string;
  readonly faults?: readonly Fault[];
  readonly retryAfterMs?: number;
  /** Of `stale`: the version that holds. */
  readonly currentVersion?: number;
}

export function refuse(
  code: ProblemCode,
  detail: string,
  more: Pick<Refusal, "faults" | "retryAfterMs" | "currentVersion"> = {},
): Refusal {
  return { kind: "refused", code, detail, ...more };
}

/** Refusals after which the same request may succeed: their outcome is never kept for its idempotency key. */
export function mayPass({ code }: Refusal): boolean {
  return PROBLEMS[code].status >= 500 || code === "rate_limited" || code === "in_progress";
}

/** Body of a failed call (RFC 9457, application/problem+json). @param requestId names the call in logs */
export function problemBody(
  { code, detail, faults, retryAfterMs, currentVersion }: Refusal,
  requestId: string,
): object {
  const { status, title } = PROBLEMS[code];
  return {
    type: `urn:imcluster:problem:${code}`,
    title,
    status,
    code,
    detail,
    instance: `urn:uuid:${requestId}`,
    ...(faults ? { errors: faults } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(retryAfterMs) }),
    ...(currentVersion === undefined ? {} : { currentVersion }),
  };
}

const RETRY_AFTER_MS = 500;

/** What the caller is told of a fault of ours: never its text, but for those that are about the request. */
export function refusalOf(error: ImError): Refusal {
  switch (error.code) {
    case ErrorCode.BAD_REQUEST:
      return refuse("invalid", error.message);
    case ErrorCode.BUSY:
    case ErrorCode.RATE_LIMITED:
      return refuse("busy", "the cluster is overloaded: repeat the request with the same Idempotency-Key later", {
        retryAfterMs: error.retryAfterMs || RETRY_AFTER_MS,
      });
    case ErrorCode.RETRYABLE:
      return refuse("unavailable", "the outcome is not known: repeat the request with the same Idempotency-Key", {
        retryAfterMs: error.retryAfterMs || RETRY_AFTER_MS,
      });
    default:
      return refuse("internal", "a fault of the server: repeat the request, or tell its operators what instance says");
  }
}
