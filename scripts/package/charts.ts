// SPDX-License-Identifier: Apache-2.0
// The charts as archives, as they are published.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { run } from "../cluster/command.ts";
import { ClusterFault } from "../cluster/fault.ts";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import type { RunContext } from "../cluster/progress.ts";
import { ensureBinaries } from "../cluster/toolchain.ts";

export const PUBLISHED_CHARTS = ["im-operator", "im-cluster"] as const;
const TIMEOUT_MS = 120_000;

/** With what archives are signed: a key of the keyring by its name, without passphrase or with one in the terminal. */
export interface SigningKey {
  key: string;
  keyring: string;
}

/** What of a Chart.yaml is not of this version; nothing when it may be packaged. Pure. */
export function versionFaults(chartYaml: string, version: string): string[] {
  const chart = parse(chartYaml) as Record<string, unknown> & { annotations?: Record<string, string> };
  const images = chart.annotations?.["artifacthub.io/images"] ?? "";
  return [
    ...["version", "appVersion"]
      .filter((key) => chart[key] !== version)
      .map((key) => `${key} is ${String(chart[key])}`),
    ...(images.includes(`imcluster/imcluster:${version}\n`)
      ? []
      : ["artifacthub.io/images names another image of ours"]),
  ];
}

const read = (path: string): string => readFileSync(join(PROJECT_ROOT, path), "utf8");

/**
 * Writes both archives to `folder`, with a `.prov` file beside each when they are signed. Returns their paths.
 * @throws {ClusterFault} when a chart is not of the version in package.json
 */
export async function packageCharts(folder: string, context: RunContext, signing?: SigningKey): Promise<string[]> {
  const { version } = JSON.parse(read("package.json")) as { version: string };
  const faults = PUBLISHED_CHARTS.flatMap((chart) =>
    versionFaults(read(`charts/${chart}/Chart.yaml`), version).map((fault) => `charts/${chart}/Chart.yaml: ${fault}`),
  );
  if (faults.length > 0)
    throw new ClusterFault(
      `package.json is ${version}:\n${faults.join("\n")}`,
      "Write the version into each Chart.yaml.",
    );
  const { helm = "" } = await ensureBinaries(["helm"], context);
  const sign = signing ? ["--sign", "--key", signing.key, "--keyring", signing.keyring] : [];
  const paths: string[] = [];
  for (const chart of PUBLISHED_CHARTS) {
    const args = ["package", join(PROJECT_ROOT, "charts", chart), "--destination", folder, ...sign];
    await run(helm, args, { timeoutMs: TIMEOUT_MS, signal: context.signal });
    paths.push(join(folder, `${chart}-${version}.tgz`));
  }
  return paths;
}
