// SPDX-License-Identifier: Apache-2.0

import type { RunContext } from "../progress.ts";
import { GO_RECIPES } from "../recipes.ts";
import { ensureBinaries } from "../toolchain.ts";
import type { ImageSpec } from "./image.ts";

/** Tag of an image that holds one static program of ours: that program's version, e.g. `1.13.1`. */
export function versionTag(module: string): string {
  return GO_RECIPES.find((recipe) => recipe.module === module)?.version.replace(/^v/, "") ?? "1";
}

/** The image that holds a pod's namespaces open. */
export async function pauseSpec(context: RunContext): Promise<ImageSpec> {
  const { pause = "" } = await ensureBinaries(["pause"], context);
  return {
    name: "pause",
    tag: versionTag("pause"),
    layers: [[{ kind: "file", path: "/pause", source: pause, mode: 0o755 }]],
    config: { Entrypoint: ["/pause"], User: "65535:65535" },
  };
}

/** CoreDNS with the plugins of our Corefile. */
export async function corednsSpec(context: RunContext): Promise<ImageSpec> {
  const { coredns = "" } = await ensureBinaries(["coredns"], context);
  return {
    name: "coredns",
    tag: versionTag("coredns"),
    layers: [[{ kind: "file", path: "/coredns", source: coredns, mode: 0o755 }]],
    config: { Entrypoint: ["/coredns"], WorkingDir: "/" },
  };
}

/** References that configuration files name before the images are built. */
export const PAUSE_REF = `imcluster.local/pause:${versionTag("pause")}`;
export const COREDNS_REF = `imcluster.local/coredns:${versionTag("coredns")}`;
