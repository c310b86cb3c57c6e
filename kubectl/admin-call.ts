// SPDX-License-Identifier: Apache-2.0
import type { ImCluster } from "../operator/api/v1alpha1.ts";
import { isPodReady } from "../operator/imcluster/observed.ts";
import { KubeError } from "../operator/kube/kube-error.ts";
import type { Pod } from "../operator/kube/types.ts";
import type { Access } from "./access.ts";
import { CliFault } from "./fault.ts";

/** Logic pods that are asked, one after the other, when one does not answer. */
const MAX_TRIES = 3;
const CONTAINER = "logic";
const PROGRAM = ["node", "logic/admin.ts"];

/**
 * Asks the fleet's administration service by its command line in a ready logic pod: no key leaves the cluster, and whoever
 * may exec there may do so anyway.
 * @throws CliFault when there is no ready logic pod, or with what the service said
 */
export async function callAdmin<T extends object>(
  access: Access,
  cluster: ImCluster,
  words: readonly string[],
): Promise<T> {
  const { name } = cluster.metadata;
  const pods = (await access.podsOf(name, "logic")).filter(isPodReady);
  if (pods.length === 0)
    throw new CliFault(
      `no logic pod of ${name} is ready`,
      `\`kubectl im status ${name}\` says why; \`kubectl im logs ${name} --component logic\` shows what they print.`,
    );
  let last: unknown;
  for (const pod of pods.slice(0, MAX_TRIES)) {
    try {
      return await askPod<T>(access, pod, words);
    } catch (error) {
      if (!mayTryAnother(error) || access.call.signal.aborted) throw error;
      last = error;
    }
  }
  throw last;
}

/** A pod that just went, or a node that does not answer. */
function mayTryAnother(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 404 || error.retryable);
}

async function askPod<T extends object>(access: Access, pod: Pod, words: readonly string[]): Promise<T> {
  const { name } = pod.metadata;
  const command = [...PROGRAM, ...words];
  const result = await access.pods.exec(access.namespace, name, { container: CONTAINER, command, ...access.call });
  const said = result.stderr.trim();
  if (result.exitCode !== 0) throw refusal(name, said, result.exitCode);
  try {
    return JSON.parse(result.stdout) as T;
  } catch (cause) {
    throw new CliFault(`${name} answered what is no JSON`, "Is the fleet of another version than kubectl im?", {
      cause,
    });
  }
}

function refusal(pod: string, said: string, exitCode: number): CliFault {
  if (said.startsWith("usage:"))
    return new CliFault(
      `${pod} does not know this command`,
      "The fleet is older than kubectl im: upgrade it, or use the older one.",
    );
  return new CliFault(
    said || `the program in ${pod} ended with ${exitCode}`,
    "Correct what it names; when it says that something is away, `kubectl im status` tells more.",
  );
}
