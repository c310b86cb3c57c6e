// SPDX-License-Identifier: Apache-2.0
// The log level of running processes changes with a file, as a mounted ConfigMap does.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { waitUntil } from "../harness/processes.ts";
import type { ServiceProcess } from "../harness/service-process.ts";
import { useFleet } from "./fleet-suite.ts";

const root = mkdtempSync(join(tmpdir(), "log-level-"));
after(() => rmSync(root, { recursive: true, force: true }));

/** The folder of a role, and what its processes get to know it. */
function levelOf(role: string): Record<string, string> {
  const dir = join(root, role);
  mkdirSync(dir);
  return { IM_LOG_LEVEL_DIR: dir };
}

const logOf = (process: ServiceProcess): string => readFileSync(process.logPath, "utf8");
const waitLine = (process: ServiceProcess, line: string): Promise<void> =>
  waitUntil(`${process.name} writes ${line}`, () => logOf(process).includes(line), 30_000);

describe("the log level", () => {
  const fleet = useFleet({
    entries: 1,
    extlogics: 1,
    entryEnv: levelOf("entry"),
    logicEnv: levelOf("logic"),
    extlogicEnv: levelOf("extlogic"),
  });

  it("changes in every process by itself, and stays when the file says nonsense", async () => {
    const { entries, logics, extlogics } = fleet();
    const [entry, logic, extlogic] = [...entries, ...logics, ...extlogics];
    assert.ok(entry && logic && extlogic);
    const roles = { entry, logic, extlogic };
    const pids = Object.values(roles).map(({ pid }) => pid);
    writeFileSync(join(root, "entry", "level"), "debug");
    writeFileSync(join(root, "logic", "level"), "error");
    writeFileSync(join(root, "extlogic", "level"), "loud");
    await waitLine(entry, '"before":"info","now":"debug","msg":"log level changed"');
    await waitLine(logic, '"before":"info","now":"error","msg":"log level changed"');
    await waitLine(extlogic, '\\"loud\\" is no log level; it stays info: write debug, info, warn, error');
    assert.deepEqual(
      Object.values(roles).map(({ pid }) => pid),
      pids,
      "the same processes",
    );

    await logic.stop();
    assert.ok(!logOf(logic).includes('"msg":"stopping"'), "no info any more");
    // Of debug, and of debug only.
    await waitLine(entry, '"msg":"logic not reachable"');
    await extlogic.stop();
    assert.ok(logOf(extlogic).includes('"msg":"stopping"'), "still info");
  });
});
