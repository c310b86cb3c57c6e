// SPDX-License-Identifier: Apache-2.0
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunContext } from "../../scripts/cluster/progress.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { describeExit, startProcess } from "../harness/processes.ts";
import { ensureRequirements } from "./python-env.ts";

const REQUIREMENTS = fileURLToPath(new URL("schemathesis.txt", import.meta.url));
/** On a busy machine: on a quiet one it takes half a minute. */
const TIMEOUT_MS = 13 * 60_000;

/** What must hold for every answer, and for what is refused. */
const CHECKS = [
  ...["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"],
  ...["response_schema_conformance", "negative_data_rejection", "missing_required_header", "ignored_auth"],
  ...["unsupported_method", "allow_header_conformance"],
];

/** Options of {@link runSchemathesis}. */
export interface SchemathesisOptions {
  /** Where the API is; its document is at /openapi.json there. */
  url: string;
  /** An API key with every scope. */
  key: string;
  /** Examples for each operation and phase. */
  maxExamples: number;
  seed: number;
}

/** How a run ended: what it printed last, and its exit code, 0 = it found nothing. */
export interface SchemathesisResult {
  code: number | null;
  output: string;
  /** Answers by status. */
  statuses: Record<string, number>;
}

/** Where its programs are; made once. @throws {ClusterFault} when it cannot be installed */
export async function ensureSchemathesis(context: RunContext): Promise<string> {
  return await ensureRequirements("schemathesis", REQUIREMENTS, context);
}

/** Sends examples, edge cases and made-up data of the document to the API. @throws {ClusterFault} when it cannot be installed */
export async function runSchemathesis(options: SchemathesisOptions, context: RunContext): Promise<SchemathesisResult> {
  const { url, key, maxExamples, seed } = options;
  const bin = await ensureSchemathesis(context);
  const dir = temporaryFolder("im-schemathesis-");
  try {
    const args = [
      ...["run", `${url}/openapi.json`, "--url", url, "--header", `Authorization: Bearer ${key}`],
      ...["--checks", CHECKS.join(","), "--phases", "examples,coverage,fuzzing"],
      ...["--max-examples", String(maxExamples), "--seed", String(seed), "--generation-database", "none"],
      ...["--request-timeout", "30", "--suppress-health-check", "all", "--continue-on-failure", "--no-color"],
      ...["--report", "har", "--report-har-path", join(dir, "run.har")],
    ];
    const child = await startProcess({ name: "schemathesis", command: join(bin, "schemathesis"), args, cwd: dir });
    const exit = await child.waitForExit(TIMEOUT_MS).catch((error: unknown) => {
      child.signal("SIGKILL");
      throw error;
    });
    const output = exit.code === null ? `${child.output}\n${describeExit(exit)}` : child.output;
    return { code: exit.code, output, statuses: statusesOf(readFileSync(join(dir, "run.har"), "utf8")) };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function statusesOf(har: string): Record<string, number> {
  const { log } = JSON.parse(har) as { log: { entries: { response: { status: number } }[] } };
  const counts: Record<string, number> = {};
  for (const { response } of log.entries) counts[response.status] = (counts[response.status] ?? 0) + 1;
  return counts;
}
