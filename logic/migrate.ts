// SPDX-License-Identifier: Apache-2.0
// The migrate process: brings the database schema up to date and exits. 0 = current, 1 = failed, 2 = bad configuration.
import { envDurationMs, envUrl, loadConfig, z } from "#lib/config.ts";
import { toImError } from "#lib/errors.ts";
import { createLogger } from "#lib/logger.ts";
import { migrate } from "./store/migrate.ts";

const SCHEMA = z.object({
  IM_POSTGRES_URL: envUrl("postgres:", "postgresql:").describe(
    "the URL of the database, postgres://user:password@host/db",
  ),
  IM_MIGRATE_WAIT_MS: envDurationMs().default(60_000).describe("how long to wait for PostgreSQL, such as 60s"),
});

async function main(): Promise<number> {
  const log = createLogger("migrate");
  let config: z.infer<typeof SCHEMA>;
  try {
    config = loadConfig(SCHEMA);
  } catch (error) {
    log.error({}, toImError(error).message);
    return 2;
  }
  try {
    const applied = await migrate({ url: config.IM_POSTGRES_URL, log, waitMs: config.IM_MIGRATE_WAIT_MS });
    log.info({ applied }, applied.length === 0 ? "the schema is current" : "the schema was brought up to date");
    return 0;
  } catch (error) {
    log.error({ err: error }, toImError(error).message);
    return 1;
  }
}

process.exitCode = await main();
