// SPDX-License-Identifier: Apache-2.0
import { homedir, userInfo } from "node:os";
import { join, resolve } from "node:path";

/** Root of the project's work tree. */
export const PROJECT_ROOT = resolve(import.meta.dirname, "../..");

/** Everything that outlives a run: binaries, images, the state of the local cluster. `IMCLUSTER_CACHE` moves it. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env, home = homedir()): string {
  // HOME may be set to nothing; the cache would be in the folder that we happen to be in.
  return resolve(env.IMCLUSTER_CACHE || join(home || userInfo().homedir, ".cache", "imcluster"));
}

/** Folder of built and downloaded programs, one sub-folder per version. */
export const binRoot = (): string => join(cacheRoot(), "bin");

/** Folder of image archives and the layers they share. */
export const imageRoot = (): string => join(cacheRoot(), "images");

/** Folder of the local cluster: keys, kubeconfig, logs, process records, node file systems. Removed by `down`. */
export const clusterRoot = (): string => join(cacheRoot(), "cluster");

/** Admin kubeconfig of the local cluster. */
export const kubeconfigPath = (): string => join(clusterRoot(), "kubeconfig");
