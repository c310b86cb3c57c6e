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

/** `message` and, for a {@link ClusterFault}, the remedy on the next line; any other error with where it and its causes came from. */
export function describeFault(thrown: unknown): string {
  if (thrown instanceof ClusterFault) return `${thrown.message}\n${thrown.remedy}`;
  if (!(thrown instanceof Error)) return String(thrown);
  // A slip on the command line: where in our code it was read helps nobody.
  if ("code" in thrown && String(thrown.code).startsWith("ERR_PARSE_ARGS_"))
    return `${thrown.message}\n\`make help\` lists the targets with their variables.`;
  const own = thrown.stack ?? thrown.message;
  return thrown.cause === undefined ? own : `${own}\n  because of ${describeFault(thrown.cause)}`;
}
