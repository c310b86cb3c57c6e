// SPDX-License-Identifier: Apache-2.0
// `make skew`: this tree beside an older build of it, row by row, while people chat. Last line: figures as JSON.
// Exit 1 when a row is not kept and the older build does not fall short by itself.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { endWhenInterrupted } from "../harness/interrupt.ts";
import { startPostgres } from "../harness/postgres.ts";
import { startRedis } from "../harness/redis.ts";
import { planMatrix, type Row, selectRows } from "./matrix.ts";
import { type OlderBuild, takeOlderBuild } from "./older-build.ts";
import { type Ground, runRow } from "./run-row.ts";
import { judge, type RowResult, shortfallsOf } from "./verdict.ts";

const progress = createProgress();

async function runMatrix(rows: readonly Row[], older: OlderBuild): Promise<boolean> {
  const [postgres, redis] = [await startPostgres(), await startRedis()];
  try {
    const dirs = { N: PROJECT_ROOT, "N-1": older.dir };
    const ground: Ground = { postgres, redis, dirs, progress: (text) => progress.line(text) };
    const results: Omit<RowResult, "isOlderAlone">[] = [];
    for (const [at, row] of rows.entries()) {
      progress.line(`row ${at + 1} of ${rows.length}: ${row.name}`);
      const result = await resultOf(row, ground);
      for (const text of result.shortfalls) progress.line(`  falls short: ${text}`);
      results.push(result);
    }
    const { rows: judged, isKept } = judge(results);
    const { from, commit, date, behind } = older;
    console.log(
      JSON.stringify({ isKept, from, commit, date, behind, seconds: progress.elapsedSeconds(), rows: judged }),
    );
    return isKept;
  } finally {
    await Promise.all([postgres.stop(), redis.stop()]);
  }
}

/** A row that cannot be run to its end falls short, and the others run. */
async function resultOf(row: Row, ground: Ground): Promise<Omit<RowResult, "isOlderAlone">> {
  try {
    const figures = await runRow(row, ground);
    progress.line(`  ${JSON.stringify(figures)}`);
    return { name: row.name, figures, shortfalls: shortfallsOf(row, figures) };
  } catch (error) {
    progress.line(describeFault(error));
    const [message = ""] = (error as Error).message.split("\n");
    return { name: row.name, figures: undefined, shortfalls: [`did not run to its end: ${message}`] };
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: process.argv.slice(2),
    options: { from: { type: "string" }, row: { type: "string" } },
  });
  const rows = selectRows(planMatrix(), values.row);
  endWhenInterrupted();
  const folder = temporaryFolder("imcluster-skew-");
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const older = await takeOlderBuild(values.from, join(folder, "older"));
  progress.line(`N-1 is ${older.from} (${older.commit} of ${older.date}), ${older.behind} commits behind`);
  return (await runMatrix(rows, older)) ? 0 : 1;
}

try {
  process.exit(await main());
} catch (error) {
  console.error(error instanceof RangeError ? error.message : describeFault(error));
  process.exit(1);
}
