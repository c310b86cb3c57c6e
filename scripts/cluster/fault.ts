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

/** What is wrong with a folder that cannot be written, by the kernel's word for it. */
const NOT_WRITABLE: Readonly<Record<string, string>> = {
  EROFS: "it is read-only",
  EACCES: "this user may not",
  EPERM: "this user may not",
  ENOTDIR: "a part of it is a file",
  EEXIST: "something else is there",
  ENOSPC: "no space is left",
  EDQUOT: "this user's quota is used up",
};
const NO_SPACE = /No space left on device|ENOSPC/;
const ELSEWHERE =
  "Free or repair it, or name another folder: IMCLUSTER_CACHE=/path for what is built and kept, TMPDIR=/path for what is not.";

/** The sentence for a folder that cannot be written; undefined for any other error. */
function describeFolder(thrown: Error): string | undefined {
  const { code = "", path, syscall } = thrown as NodeJS.ErrnoException;
  // Node makes the folders above as well, and says ENOENT where it cannot, whatever the reason.
  const why = code === "ENOENT" && syscall === "mkdir" ? "the folder cannot be made there" : NOT_WRITABLE[code];
  if (why !== undefined && (path !== undefined || code === "ENOSPC"))
    return `${path ?? "A file"} cannot be written: ${why}.\n${ELSEWHERE}`;
  // A program that we started says so in its own words.
  if (NO_SPACE.test(thrown.message)) return `A file cannot be written: no space is left.\n${ELSEWHERE}`;
  return thrown.cause instanceof Error ? describeFolder(thrown.cause) : undefined;
}

/** The sentence for a program that is not on the PATH; undefined for any other error. */
function describeProgram(thrown: Error): string | undefined {
  const { code, path = "", syscall = "" } = thrown as NodeJS.ErrnoException;
  if (code === "ENOENT" && syscall.startsWith("spawn ") && !path.includes("/"))
    return `${path} is not installed, or not on the PATH.\nInstall it, then start again.`;
  return thrown.cause instanceof Error ? describeProgram(thrown.cause) : undefined;
}

/** `message` and, for a {@link ClusterFault}, the remedy on the next line; a sentence for a folder that cannot be written or a program that is missing; any other error with where it and its causes came from. */
export function describeFault(thrown: unknown): string {
  const folder = thrown instanceof Error ? describeFolder(thrown) : undefined;
  if (folder !== undefined) return folder;
  if (thrown instanceof ClusterFault) return `${thrown.message}\n${thrown.remedy}`;
  if (!(thrown instanceof Error)) return String(thrown);
  const program = describeProgram(thrown);
  if (program !== undefined) return program;
  // A slip on the command line: where in our code it was read helps nobody.
  if ("code" in thrown && String(thrown.code).startsWith("ERR_PARSE_ARGS_"))
    return `${thrown.message}\n\`make help\` lists the targets with their variables.`;
  const own = thrown.stack ?? thrown.message;
  return thrown.cause === undefined ? own : `${own}\n  because of ${describeFault(thrown.cause)}`;
}
