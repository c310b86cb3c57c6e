// SPDX-License-Identifier: Apache-2.0
// Every pod of charts and operator before a real API server that enforces "restricted": as it is, and with each control weakened.
import { type ImApiServer, RESTRICTED } from "../../e2e/operator/support/shared-api-server.ts";
import { KubeError } from "../../operator/kube/kube-error.ts";
import { PODS, type Pod } from "../../operator/kube/types.ts";
import { type PodLike, restrictedFaults } from "./restricted.ts";
import { WEAKENINGS, type Weakening } from "./weak-pods.ts";

export interface PodTrials {
  /** Taken as they are. */
  taken: string[];
  /** Weakened ones that the API server refused. */
  refused: number;
  /** What was not as it should be. */
  faults: string[];
}

export async function tryPods(server: ImApiServer, pods: readonly [name: string, spec: PodLike][]): Promise<PodTrials> {
  const namespace = await server.makeNamespace(RESTRICTED);
  const trials: PodTrials = { taken: [], refused: 0, faults: [] };
  let made = 0;
  const refusalOf = (spec: PodLike) => refusal(server, namespace, `p-${made++}`, spec);
  for (const [name, spec] of pods) {
    const faults = [...restrictedFaults(spec), ...[(await refusalOf(spec)) ?? []].flat()];
    if (faults.length === 0) trials.taken.push(name);
    trials.faults.push(...faults.map((fault) => `${name}: ${fault}`));
    for (const weakening of WEAKENINGS) {
      const weak = structuredClone(spec) as PodLike & Record<string, unknown>;
      weakening.weaken(weak);
      const said = await refusalOf(weak);
      if (said?.includes("violates PodSecurity")) trials.refused++;
      trials.faults.push(...judge(weakening, weak, said).map((fault) => `${name}, ${weakening.fault}: ${fault}`));
    }
  }
  return trials;
}

/** Both must notice: our checker, and the API server by the control that was weakened. */
function judge({ fault, said }: Weakening, weak: PodLike, refused: string | undefined): string[] {
  const isSeen = restrictedFaults(weak).some((one) => one === fault || one.endsWith(`: ${fault}`));
  const isRefused = said === undefined ? refused === undefined : said.test(refused ?? "");
  return [
    ...(isSeen ? [] : ["our checker does not see it"]),
    ...(isRefused ? [] : [`the API server said ${refused ?? "nothing"}`]),
  ];
}

/** What the API server has against a pod; undefined: nothing. */
async function refusal(
  server: ImApiServer,
  namespace: string,
  name: string,
  spec: PodLike,
): Promise<string | undefined> {
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace }, spec };
  try {
    await server.client.create(PODS, pod as unknown as Pod);
    return undefined;
  } catch (error) {
    if (error instanceof KubeError && error.status >= 400 && !error.retryable) return error.message;
    throw error;
  }
}
