// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";

/** A failure that a person has to act on: what happened, and what to do next. */
export class ClusterFault extends ImError {
  /** One or two sentences: how to go on. */
  readonly remedy: string;

  constructor(message: string, remedy: string, options: ErrorOptions = {}) {
    super(ErrorCode.INTERNAL, message, options);
    this.name = "ClusterFault";
    this.remedy = remedy;
  }
}

/** `message` and, for a {@link ClusterFault}, the remedy on the next line. */
export function describeFault(thrown: unknown): string {
  if (thrown instanceof ClusterFault) return `${thrown.message}\n${thrown.remedy}`;
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
