// SPDX-License-Identifier: Apache-2.0
import { Command } from "#proto/commands.ts";

const FIRST_FORWARDED = 16;
/** Records carry the command in one byte. */
const LAST_FORWARDED = 255;
/** Below the first one: session commands that logic answers. */
const FORWARDED_SESSION_COMMANDS: ReadonlySet<number> = new Set([Command.REAUTH, Command.APP_STATE, Command.DEVICE]);

/** Does logic answer this command? Else the entry does. */
export function isForwarded(cmd: number): boolean {
  return (cmd >= FIRST_FORWARDED && cmd <= LAST_FORWARDED) || FORWARDED_SESSION_COMMANDS.has(cmd);
}
