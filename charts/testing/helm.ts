// SPDX-License-Identifier: Apache-2.0
// helm for the charts' tests, and what it renders.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { silentProgress } from "../../scripts/cluster/progress.ts";
import { ensureBinaries } from "../../scripts/cluster/toolchain.ts";

export const CHARTS = join(import.meta.dirname, "..");
export const CHART_NAMES = ["im-operator", "im-cluster"] as const;
export type ChartName = (typeof CHART_NAMES)[number];

const TIMEOUT_MS = 60_000;
const runFile = promisify(execFile);

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec?: Record<string, unknown>;
  data?: Record<string, string>;
  rules?: { verbs: string[]; resources: string[]; apiGroups: string[] }[];
}

export interface HelmResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs helm to its end; the caller looks at the exit code. */
export async function runHelm(args: readonly string[], env: Record<string, string> = {}): Promise<HelmResult> {
  const { helm = "" } = await ensureBinaries(["helm"], { progress: silentProgress });
  try {
    const options = { timeout: TIMEOUT_MS, maxBuffer: 16 << 20, env: { ...process.env, ...env } };
    const { stdout, stderr } = await runFile(helm, args, options);
    return { code: 0, stdout, stderr };
  } catch (error) {
    const failed = error as { code?: number; stdout?: string; stderr?: string };
    return {
      code: typeof failed.code === "number" ? failed.code : 1,
      stdout: failed.stdout ?? "",
      stderr: failed.stderr ?? "",
    };
  }
}

/** @throws AssertionError with what helm said when it fails */
export async function helmOk(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const result = await runHelm(args, env);
  assert.equal(result.code, 0, `helm ${args.join(" ")}\n${result.stderr}${result.stdout}`);
  return result.stdout;
}

export const chartPath = (chart: string): string => join(CHARTS, chart);

/** The documents of a YAML stream that are not empty. */
export const documentsOf = (text: string): Manifest[] =>
  parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);

/** What the chart makes in namespace `ns`. */
export async function render(chart: string, args: readonly string[] = [], release = "test"): Promise<Manifest[]> {
  return documentsOf(await helmOk(["template", release, chartPath(chart), "--namespace", "ns", ...args]));
}

/** Values files that people may take as samples, by path. */
export const ciValues = (chart: string): string[] =>
  readdirSync(join(CHARTS, chart, "ci"))
    .sort()
    .map((file) => join(CHARTS, chart, "ci", file));

export const byKind = (manifests: readonly Manifest[], kind: string): Manifest[] =>
  manifests.filter((manifest) => manifest.kind === kind);

/** A YAML file of a chart. */
export const chartFile = <T>(chart: string, file: string): T =>
  parseYaml(readFileSync(join(CHARTS, chart, file), "utf8")) as T;
