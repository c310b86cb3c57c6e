// SPDX-License-Identifier: Apache-2.0
// `node logic/hooks/hooks-main.ts list | dead HOOK | replay HOOK | rewind HOOK position:N|time:2026-11-26T12:00:00Z`: looks at webhooks,
// or has them told again. The environment is extlogic's. Prints one line of JSON; 0 = done, 1 = failed, 2 = bad configuration or usage.

import * as z from "zod";
import { systemClock } from "#lib/clock.ts";
import { envString, envUrl, loadConfig } from "#lib/config.ts";
import { ErrorCode, ImError, toImError } from "#lib/errors.ts";
import type { HookStore, ReplayFrom } from "../store/hooks.ts";
import { openPostgresStore } from "../store/postgres-store.ts";
import { HooksFile } from "./hooks-file.ts";

const WAIT_MS = 10_000;
const LIST_LIMIT = 100;
const REPLAY_LIMIT = 1000;
const USAGE = "usage: hooks-main.ts list | dead HOOK | replay HOOK | rewind HOOK position:N|time:2026-11-26T12:00:00Z";

const schema = z.object({
  IM_POSTGRES_URL: envUrl("postgres:", "postgresql:").describe("postgres://user:password@host:5432/database"),
  IM_HOOKS_FILE: envString().describe("the JSON file of hooks"),
});

/** What is to be done, once the words are understood. */
type Job = (store: HookStore, hooks: readonly string[]) => Promise<object>;

function jobOf([command = "list", hook = "", from = ""]: readonly string[]): Job {
  if (command === "list") return async (store, hooks) => await store.backlog(hooks);
  if (hook === "") throw new ImError(ErrorCode.BAD_REQUEST, USAGE);
  const known = (hooks: readonly string[]): void => {
    if (hooks.includes(hook)) return;
    throw new ImError(ErrorCode.BAD_REQUEST, `there is no hook ${hook}: the file has ${hooks.join(", ") || "none"}`);
  };
  switch (command) {
    case "dead":
      return async (store, hooks) => {
        known(hooks);
        return await store.listDead({ hook, after: 0, limit: LIST_LIMIT });
      };
    case "replay":
      return async (store, hooks) => {
        known(hooks);
        return { replayed: await store.replayDead({ hook, limit: REPLAY_LIMIT }) };
      };
    case "rewind": {
      const start = startOf(from);
      return async (store, hooks) => {
        known(hooks);
        return { rewound: await store.rewind(hook, start) };
      };
    }
    default:
      throw new ImError(ErrorCode.BAD_REQUEST, USAGE);
  }
}

function startOf(text: string): ReplayFrom {
  const [, by, value = ""] = /^(position|time):(.+)$/.exec(text) ?? [];
  const number = by === "position" ? Number(value) : Date.parse(value);
  if (by === undefined || !Number.isSafeInteger(number) || number < 1) throw new ImError(ErrorCode.BAD_REQUEST, USAGE);
  return by === "position" ? { position: number } : { timeMs: number };
}

async function run(job: Job, config: z.infer<typeof schema>, names: readonly string[]): Promise<object> {
  const store = await openPostgresStore({ url: config.IM_POSTGRES_URL, name: "hooks", startTimeoutMs: WAIT_MS });
  try {
    return await job(store.hooks, names);
  } finally {
    await store.close();
  }
}

async function main(words: readonly string[]): Promise<number> {
  let job: Job;
  let config: z.infer<typeof schema>;
  let names: string[];
  try {
    job = jobOf(words);
    config = loadConfig(schema);
    const file = await HooksFile.open(config.IM_HOOKS_FILE, { clock: systemClock, onError: () => undefined });
    file.close();
    names = file.current().hooks.map(({ name }) => name);
  } catch (error) {
    console.error(toImError(error).message);
    return 2;
  }
  try {
    console.log(JSON.stringify(await run(job, config, names)));
    return 0;
  } catch (error) {
    const { code, message } = toImError(error);
    console.error(message);
    return code === ErrorCode.BAD_REQUEST ? 2 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
