// SPDX-License-Identifier: Apache-2.0
import type { KubeTools } from "./kube-tools.ts";

/** Images as `repository:tag`. */
export interface OperandImages {
  imcluster: string;
  postgres: string;
  redis: string;
}

/** Splits `repository:tag`; a port in the registry's name is not a tag. Pure. */
export function splitImage(image: string): { repository: string; tag: string } {
  const colon = image.lastIndexOf(":");
  if (colon <= image.lastIndexOf("/")) return { repository: image, tag: "" };
  return { repository: image.slice(0, colon), tag: image.slice(colon + 1) };
}

/** Installs or upgrades the operator by Helm and waits for its pods. */
export async function operatorRelease(
  tools: KubeTools,
  images: OperandImages,
  options: { namespace: string; chart: string; release?: string; extraArgs?: readonly string[] },
): Promise<void> {
  const { repository, tag } = splitImage(images.imcluster);
  const values = {
    "image.repository": repository,
    "image.tag": tag,
    "operand.image": images.imcluster,
    "operand.postgresImage": images.postgres,
    "operand.redisImage": images.redis,
  };
  const sets = Object.entries(values).flatMap(([key, value]) => ["--set-string", `${key}=${value}`]);
  const release = options.release ?? "im-operator";
  const args = ["upgrade", "--install", release, options.chart, "-n", options.namespace, "--create-namespace", ...sets];
  await tools.helm([...args, ...(options.extraArgs ?? []), "--wait", "--timeout", "120s"]);
}
