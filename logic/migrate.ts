// SPDX-License-Identifier: Apache-2.0
// The migrate process: brings the database schema up to date and exits. 0 = current, 1 = failed, 2 = bad configuration.
import { existsSync } from "node:fs";
import * as z from "zod";
import { envBool, envDurationMs, envUrl, loadConfig } from "#lib/config.ts";
import { toImError } from "#lib/errors.ts";
import { createLogger } from "#lib/logger.ts";
import { migrate } from "./store/migrate.ts";

const SCHEMA = z.object({
  IM_POSTGRES_URL: envUrl("postgres:", "postgresql:").describe(
    "the URL of the database, postgres://user:password@host/db",
  ),
  IM_MIGRATE_POSTGRES_URL: envUrl("postgres:", "postgresql:")
    .optional()
    .describe(
      "the URL with the user that owns the tables; IM_POSTGRES_URL's user then gets no more than rows. Default: IM_POSTGRES_URL",
    ),
  IM_EXTLOGIC_POSTGRES_URL: envUrl("postgres:", "postgresql:")
    .optional()
    .describe("the URL of extlogic, when its user is not IM_POSTGRES_URL's; it gets the same rows"),
  IM_MIGRATE_MAKES_ROLES: envBool()
    .default(false)
    .describe(
      "true makes the users of the other URLs, with their passwords; IM_MIGRATE_POSTGRES_URL's user must be a superuser",
    ),
  IM_MIGRATE_WAIT_MS: envDurationMs().default(60_000).describe("how long to wait for PostgreSQL, such as 60s"),
});

/** The file of the migration's own URL is a key of a Secret that need not have it. */
function withoutMissingFile(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { IM_MIGRATE_POSTGRES_URL_FILE: file, ...others } = env;
  return file !== undefined && existsSync(file) ? env : others;
}

async function main(): Promise<number> {
  const log = createLogger("migrate");
  let config: z.infer<typeof SCHEMA>;
  try {
    config = loadConfig(SCHEMA, withoutMissingFile(process.env));
  } catch (error) {
    log.error({}, toImError(error).message);
    return 2;
  }
  try {
    const runtimeUrl = config.IM_POSTGRES_URL;
    const url = config.IM_MIGRATE_POSTGRES_URL ?? runtimeUrl;
    const applied = await migrate({
      ...{ url, runtimeUrl, log, waitMs: config.IM_MIGRATE_WAIT_MS, makesRoles: config.IM_MIGRATE_MAKES_ROLES },
      ...(config.IM_EXTLOGIC_POSTGRES_URL === undefined ? {} : { extlogicUrl: config.IM_EXTLOGIC_POSTGRES_URL }),
    });
    log.info({ applied }, applied.length === 0 ? "the schema is current" : "the schema was brought up to date");
    return 0;
  } catch (error) {
    log.error({ err: error }, toImError(error).message);
    return 1;
  }
}

process.exitCode = await main();
