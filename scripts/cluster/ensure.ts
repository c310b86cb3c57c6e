// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ClusterFault } from "./fault.ts";
import type { RunContext } from "./progress.ts";
import { up } from "./up.ts";

/** References of the images that an ImCluster runs. */
export interface WorkloadImages {
  imcluster: string;
  postgres: string;
  redis: string;
}

/** A cluster to work on: our own, or one that the user named. */
export interface Cluster {
  kind: "local" | "external";
  kubeconfig: string;
  images: WorkloadImages;
  /** Programs had to be built first: the run was a cold one. */
  built: boolean;
  seconds: number;
}

/** Options of {@link ensureCluster}. */
export interface EnsureOptions extends RunContext {
  /** Use the user's own cluster; also implied by IMCLUSTER_KUBECONFIG. */
  external?: boolean;
}

function externalCluster(env: NodeJS.ProcessEnv): Cluster {
  const kubeconfig = env.IMCLUSTER_KUBECONFIG || env.KUBECONFIG || join(homedir(), ".kube/config");
  const first = kubeconfig.split(":")[0] ?? "";
  if (!existsSync(first))
    throw new ClusterFault(`there is no kubeconfig ${first}`, "Set KUBECONFIG or IMCLUSTER_KUBECONFIG to one.");
  const imcluster = env.IMCLUSTER_IMAGE;
  if (!imcluster) {
    throw new ClusterFault(
      "which image should your cluster run? IMCLUSTER_IMAGE is not set",
      "Build one (docker build -t REGISTRY/imcluster:TAG . and push it; for kind: node scripts/cluster/main.ts images --archive DIR, " +
        "then kind load image-archive) and name it: IMCLUSTER_IMAGE=REGISTRY/imcluster:TAG make up CONTEXT=name",
    );
  }
  const postgres = env.IMCLUSTER_POSTGRES_IMAGE || "docker.io/library/postgres:18";
  const redis = env.IMCLUSTER_REDIS_IMAGE || "docker.io/library/redis:7";
  return { kind: "external", kubeconfig, images: { imcluster, postgres, redis }, built: false, seconds: 0 };
}

/**
 * The user's cluster when asked for, else the local one, brought up as far as it is not, with images that its nodes
 * can start. Throws ClusterFault with what to do.
 */
export async function ensureCluster(options: EnsureOptions): Promise<Cluster> {
  if (options.external || process.env.IMCLUSTER_KUBECONFIG) return externalCluster(process.env);
  const local = await up(options);
  const ref = (name: string): string => local.images.find((image) => image.name === name)?.ref ?? "";
  return {
    kind: "local",
    kubeconfig: local.kubeconfig,
    images: { imcluster: ref("imcluster"), postgres: ref("postgres"), redis: ref("redis") },
    built: local.built,
    seconds: local.seconds,
  };
}
