// SPDX-License-Identifier: Apache-2.0
// `node logic/push/dead-letters-main.ts list|replay`: looks at pushes that were given up, or takes them up again. The
// environment is extlogic's. Prints one line of JSON; 0 = done, 1 = failed, 2 = bad configuration or usage.
import { loadConfig } from "#lib/config.ts";
import { toImError } from "#lib/errors.ts";
import { connectRedis, whenReady } from "#lib/redis.ts";
import { type ExtlogicConfig, extlogicSchema } from "../config.ts";
import { openPostgresStore } from "../store/postgres-store.ts";
import { listLetters, replayLetters } from "./dead-letters.ts";
import { policyOf } from "./push-config.ts";

const LIST_LIMIT = 20;
const WAIT_MS = 10_000;
const COMMAND_TIMEOUT_MS = 5000;

async function run(command: string, config: ExtlogicConfig): Promise<object> {
  const redis = connectRedis(config.IM_QUEUE_REDIS_URL ?? config.IM_REDIS_URL, {
    name: "dead-letters",
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
  });
  try {
    await whenReady(redis, WAIT_MS);
    if (command === "list") return await listLetters(redis, LIST_LIMIT);
    const store = await openPostgresStore({
      url: config.IM_POSTGRES_URL,
      name: "dead-letters",
      startTimeoutMs: WAIT_MS,
    });
    try {
      return await replayLetters({ redis, store, policy: policyOf(config) });
    } finally {
      await store.close();
    }
  } finally {
    redis.disconnect();
  }
}

async function main(command: string): Promise<number> {
  let config: ExtlogicConfig;
  try {
    if (command !== "list" && command !== "replay") throw new Error("usage: dead-letters-main.ts list|replay");
    config = loadConfig(extlogicSchema);
  } catch (error) {
    console.error(toImError(error).message);
    return 2;
  }
  try {
    console.log(JSON.stringify(await run(command, config)));
    return 0;
  } catch (error) {
    console.error(toImError(error).message);
    return 1;
  }
}

process.exitCode = await main(process.argv[2] ?? "list");
