// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from "node:url";
import { run } from "../../scripts/cluster/command.ts";
import { type Check, check } from "./checks.ts";
import type { SecurityTarget } from "./target.ts";

const SCRIPT = fileURLToPath(new URL("clients.py", import.meta.url));
const TIMEOUT_MS = 2 * 60_000;

/** Lines of clients.py as checks. One that did not come to its end is a finding. */
export function checksOfClients(output: string): Check[] {
  const lines = output.trim().split("\n");
  const checks: Check[] = [];
  try {
    const last = JSON.parse(lines.pop() ?? "") as { done?: number };
    for (const line of lines) {
      const { name, fault } = JSON.parse(line) as { name: string; fault: string | null };
      checks.push(check(`clients: ${name}`, "high", fault ?? undefined));
    }
    const isWhole = last.done === checks.length && checks.length > 0;
    const fault = isWhole ? undefined : `${checks.length} checks were told, ${last.done} done`;
    return [...checks, check("clients: whole", "high", fault, `${checks.length} checks`)];
  } catch (error) {
    return [...checks, check("clients: whole", "high", `it did not end well: ${String(error)}`)];
  }
}

/** Runs the independent clients. `caFile`: of the target's authority; `tokens`: of two users. */
export async function runClients(
  python: string,
  target: SecurityTarget,
  caFile: string,
  tokens: readonly [string, string],
): Promise<Check[]> {
  const url = `wss://127.0.0.1:${target.port}/ws`;
  const where = ["--url", url, "--server-name", target.servername, "--ca", caFile];
  const args = [SCRIPT, ...where, "--tokens", ...tokens];
  try {
    const { stdout } = await run(python, args, { timeoutMs: TIMEOUT_MS, mayFail: true });
    return checksOfClients(stdout);
  } catch (error) {
    return [check("clients: whole", "high", String(error))];
  }
}
