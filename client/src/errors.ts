// SPDX-License-Identifier: Apache-2.0
import type { ErrorInfo } from "./codec.ts";
import { ClientCode, codeName, ErrorCode } from "./codes.ts";

/** Options of {@link ImClientError}; `cause` is what it was made from. */
export interface ImClientErrorOptions extends ErrorOptions {
  /** May the same call be made again with the same id? Default: by code. */
  retryable?: boolean | undefined;
  /** When the same call may be made again, as the server said. */
  retryAfterMs?: number;
  /** With CONFLICT: id of the message that holds the client message id. */
  messageId?: string;
  /** With BOUNCED: the rule that refused the message. */
  rule?: string;
}

const RETRYABLE: ReadonlySet<number> = new Set([ErrorCode.BUSY, ErrorCode.RETRYABLE, ErrorCode.RATE_LIMITED]);

/** The one error class of the SDK. Compare `code` with `ErrorCode`, `DisconnectCode` or `ClientCode`. */
export class ImClientError extends Error {
  /** One of `ErrorCode`, `DisconnectCode` and `ClientCode`, or a newer server's. */
  readonly code: number;
  /** The code's name, for logs, e.g. `OUTBOX_FULL`. */
  readonly codeName: string;
  /** May the same call be made again, with the same id? */
  readonly retryable: boolean;
  /** How long to wait before the same call, or another one like it, may succeed. 0: the server did not say. */
  readonly retryAfterMs: number;
  /** With CONFLICT: id of the stored message that holds the client message id. Else empty. */
  readonly messageId: string;
  /** With BOUNCED: the rule that refused the message, for an appeal. Else empty. */
  readonly rule: string;

  /** For a `getToken` or a store of your own: one that is not `retryable` ends the attempts. */
  constructor(code: number, message: string, options: ImClientErrorOptions = {}) {
    super(message, options);
    this.name = "ImClientError";
    this.code = code;
    this.codeName = codeName(code);
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    this.retryAfterMs = options.retryAfterMs ?? 0;
    this.messageId = options.messageId ?? "";
    this.rule = options.rule ?? "";
  }
}

/** Of a refusal of the server. One that does not say `retryable` is it by its code. */
export function refusalOf(info: ErrorInfo): ImClientError {
  return new ImClientError(info.code, info.reason, { ...info, retryable: info.retryable || undefined });
}

export function abortError({ reason }: AbortSignal): ImClientError {
  return new ImClientError(ClientCode.ABORTED, "aborted", { cause: reason, retryable: true });
}

/** `promise`; `onAbort` is called, with what to reject it with, when `signal` aborts before it has settled. */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  onAbort: (error: ImClientError) => void,
): Promise<T> {
  if (!signal) return promise;
  const listener = (): void => onAbort(abortError(signal));
  signal.addEventListener("abort", listener);
  if (signal.aborted) listener();
  return promise.finally(() => signal.removeEventListener("abort", listener));
}

/** Text of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
