// SPDX-License-Identifier: Apache-2.0
import { type Redis, type RedisCommand, runPipeline } from "#lib/redis.ts";
import { DEAD_LETTER_LENGTH, DEAD_LETTER_STREAM } from "./intent.ts";

/** Keeps intents that nobody could push, each with its fields and the reason in field r. @throws {ImError} without Redis */
export async function writeDeadLetters(
  redis: Redis,
  letters: readonly (readonly (string | number)[])[],
  reason: string,
): Promise<void> {
  const commands: RedisCommand[] = letters.map((fields) => {
    const limit = ["MAXLEN", "~", DEAD_LETTER_LENGTH] as const;
    return ["XADD", DEAD_LETTER_STREAM, ...limit, "*", ...fields, "r", reason];
  });
  for (const reply of await runPipeline(redis, commands)) if (reply instanceof Error) throw reply;
}
