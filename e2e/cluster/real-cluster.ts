// SPDX-License-Identifier: Apache-2.0
// What the cluster suites share: the running local cluster, commands that print a JSON line, and bounded waiting.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { DEMO_NAMESPACE } from "../../scripts/up/demo.ts";
import { type KubeTools, openKubeTools } from "../../scripts/up/kube-tools.ts";

export interface ScriptResult {
  code: number;
  /** The last line of stdout, parsed. */
  figures: Record<string, unknown>;
  stderr: string;
}

/** Runs one of the project's scripts as a user would, in a process of its own, bounded. Its progress goes to our stderr. */
export function runScript(
  script: string,
  args: readonly string[],
  timeoutMs: number,
  env: Record<string, string> = {},
): Promise<ScriptResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(PROJECT_ROOT, script), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr = (stderr + chunk).slice(-20_000);
    });
    child.once("error", reject);
    child.once("close", (code) => {
      const last = stdout.trim().split("\n").at(-1) ?? "";
      try {
        resolve({ code: code ?? 1, figures: JSON.parse(last || "{}") as Record<string, unknown>, stderr });
      } catch {
        reject(
          new Error(
            `${script} ${args.join(" ")} ended with ${code}; its last line is no JSON: ${last}\n${stderr.slice(-3_000)}`,
          ),
        );
      }
    });
  });
}

/** Tools bound to the local cluster. */
export function localTools(): Promise<KubeTools> {
  return openKubeTools({ progress: createProgress() });
}

/**
 * Polls `probe` until it returns something other than undefined; fails with `what` and the last state at the bound. A
 * probe that throws (an API server that restarts, a call that took too long) is made again until then.
 */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined>,
  state?: () => Promise<string>,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    let fault: unknown;
    try {
      const value = await probe();
      if (value !== undefined) return value;
    } catch (error) {
      fault = error;
    }
    if (performance.now() > deadlineMs) {
      const seen = state ? `\n${await state()}` : "";
      throw new Error(`not within ${timeoutMs / 1000} s: ${what}${seen}`, { cause: fault });
    }
    await sleep(500);
  }
}

export interface ImClusterObject {
  metadata: { name: string; uid: string; generation: number };
  spec: { entry?: { replicas?: number } };
  status?: {
    observedGeneration?: number;
    phase?: string;
    entry?: { replicas?: number; ready?: number; sessions?: number; summary?: string; selector?: string };
    conditions?: { type: string; status: string; observedGeneration?: number; message?: string }[];
  };
}

export const getImCluster = (tools: KubeTools, name: string, namespace = DEMO_NAMESPACE): Promise<ImClusterObject> =>
  tools.getJson<ImClusterObject>(["imc", name, "-n", namespace]);

/** Is the condition True for the newest generation? */
export function isCondition(object: ImClusterObject, type: string): boolean {
  const condition = object.status?.conditions?.find((candidate) => candidate.type === type);
  return condition?.status === "True" && object.status?.observedGeneration === object.metadata.generation;
}

/** Text of everything in a namespace: what a failing test prints. */
export async function describeNamespace(tools: KubeTools, namespace: string): Promise<string> {
  const pods = await tools.tryKubectl(["get", "imc,pods,jobs,svc", "-n", namespace, "-o", "wide"]);
  const events = await tools.tryKubectl(["events", "-n", namespace]);
  return `${pods.stdout}\n${events.stdout.split("\n").slice(-25).join("\n")}`;
}
