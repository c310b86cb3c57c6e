// SPDX-License-Identifier: Apache-2.0
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startProcess } from "../harness/processes.ts";
import { type Check, check } from "./checks.ts";
import type { SecurityTarget } from "./target.ts";
import { checksOfTestssl } from "./testssl.ts";

/** Protocols, cipher categories, forward secrecy, preferences, certificate, HTTP headers, vulnerabilities. */
const PARTS = ["-p", "-s", "-f", "-P", "-S", "-h", "-U"];
const MAX_FAULT_CHARS = 300;
/** On a quiet machine it takes one. */
const TIMEOUT_MS = 8 * 60_000;

/** Runs testssl.sh; `dir` is for its report. */
export async function runTestssl(area: string, target: SecurityTarget, dir: string): Promise<Check[]> {
  const report = join(dir, `testssl-${target.port}.json`);
  const authority = join(dir, "authority.crt");
  rmSync(report, { force: true });
  writeFileSync(authority, target.ca);
  const quiet = ["--quiet", "--color", "0", "--warnings", "off"];
  // The name is nobody's: questions to a DNS would only wait for their end.
  const where = ["--nodns", "none", "--ip", "127.0.0.1", "--add-ca", authority];
  const args = [...quiet, ...where, ...PARTS, "--jsonfile", report, `${target.servername}:${target.port}`];
  const scan = await startProcess({ name: area, command: "testssl", args });
  try {
    await scan.waitForExit(TIMEOUT_MS);
    return checksOfTestssl(area, readFileSync(report, "utf8"));
  } catch (error) {
    scan.signal("SIGKILL");
    return [check(`${area}: report`, "high", String(error).slice(0, MAX_FAULT_CHARS))];
  }
}
