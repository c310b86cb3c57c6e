// SPDX-License-Identifier: Apache-2.0
import { codeName, ErrorCode } from "./codes.ts";

/** Options of {@link ImClientError}. */
export interface ImClientErrorOptions extends ErrorOptions {
  /** May the same call be made again with the same id? Default: by code. */
  retryable?: boolean;
  /** With CONFLICT: id of the message that holds the client message id. */
  messageId?: string;
}

const RETRYABLE: ReadonlySet<number> = new Set([ErrorCode.BUSY, ErrorCode.RETRYABLE, ErrorCode.RATE_LIMITED]);

/** The one error class of the SDK. Compare `code` with `ErrorCode`, `DisconnectCode` or `ClientCode`. */
export class ImClientError extends Error {
  readonly code: number;
  /** The code's name, for logs, e.g. `OUTBOX_FULL`. */
  readonly codeName: string;
  readonly retryable: boolean;
  readonly messageId: string;

  constructor(code: number, message: string, options: ImClientErrorOptions = {}) {
    super(message, options);
    this.name = "ImClientError";
    this.code = code;
    this.codeName = codeName(code);
    this.retryable = options.retryable ?? RETRYABLE.has(code);
    this.messageId = options.messageId ?? "";
  }
}

/** Text of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
