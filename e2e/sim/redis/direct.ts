// SPDX-License-Identifier: Apache-2.0
import type { Redis } from "#lib/redis.ts";
import type { RedisServer } from "./server.ts";

/** A client of the model without a network between: for contract suites. */
export function redisClientOver(server: RedisServer): Redis {
  const pipeline = () => {
    const commands: (string | number)[][] = [];
    const self = {
      call: (...words: (string | number)[]) => {
        commands.push(words);
        return self;
      },
      evalsha: (...words: (string | number)[]) => {
        commands.push(["EVALSHA", ...words]);
        return self;
      },
      exec: async () =>
        commands.map((words) => {
          const reply = server.execute(words.map(String));
          return reply instanceof Error ? [reply, undefined] : [null, reply];
        }),
    };
    return self;
  };
  return { status: "ready", pipeline, disconnect: () => undefined } as unknown as Redis;
}
