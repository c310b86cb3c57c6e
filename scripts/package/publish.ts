// SPDX-License-Identifier: Apache-2.0
// Archives of charts go to an OCI registry, and none over one that is there.
import { run } from "../cluster/command.ts";
import { ClusterFault } from "../cluster/fault.ts";
import type { RunContext } from "../cluster/progress.ts";
import { ensureBinaries } from "../cluster/toolchain.ts";

const TIMEOUT_MS = 120_000;

export interface Registry {
  /** `oci://registry.example.com/charts` */
  url: string;
  /** Without TLS: for tests. */
  plainHttp?: boolean;
  /** Added to helm's environment. */
  env?: Record<string, string>;
}

/** `im-operator-0.1.0-rc.1.tgz` is the chart im-operator of version 0.1.0-rc.1. Pure. */
export function chartOf(archive: string): { name: string; version: string } {
  const [, name, version] = /([^/]+?)-([0-9]+[.][0-9]+[.][0-9]+[^/]*)[.]tgz$/.exec(archive) ?? [];
  if (name === undefined || version === undefined)
    throw new ClusterFault(`${archive} is no archive of a chart`, "Name files that `make package` made.");
  return { name, version };
}

/** Whether a registry's answer says that it has no such chart, and not that it could not be asked. Pure. */
export const isUnknown = (said: string): boolean =>
  /not found|manifest unknown|name unknown|MANIFEST_UNKNOWN|NAME_UNKNOWN/i.test(said);

/**
 * Pushes the archives, each with the `.prov` file beside it. Returns where they are.
 * @throws {ClusterFault} before anything is pushed, when one of them is there already or the registry does not say
 */
export async function publishCharts(
  archives: readonly string[],
  registry: Registry,
  context: RunContext,
): Promise<string[]> {
  const { helm = "" } = await ensureBinaries(["helm"], context);
  const { env, plainHttp } = registry;
  const url = registry.url.replace(/\/+$/, "");
  const options = { timeoutMs: TIMEOUT_MS, signal: context.signal, ...(env ? { env } : {}) };
  const plain = plainHttp ? ["--plain-http"] : [];
  const places = archives.map((archive) => {
    const { name, version } = chartOf(archive);
    return { archive, name, version, place: `${url}/${name}:${version}` };
  });
  for (const { name, version, place } of places) {
    const args = ["show", "chart", `${url}/${name}`, "--version", version, ...plain];
    const { code, stderr } = await run(helm, args, { ...options, mayFail: true });
    if (code === 0)
      throw new ClusterFault(
        `${place} is published already`,
        "A version is never pushed again: write the next one into package.json and each Chart.yaml.",
      );
    if (!isUnknown(stderr))
      throw new ClusterFault(
        `it is not known whether ${place} is there: ${stderr.trim()}`,
        "Log in with `helm registry login`, and see that the registry answers.",
      );
  }
  for (const { archive } of places) await run(helm, ["push", archive, url, ...plain], options);
  return places.map(({ place }) => place);
}
