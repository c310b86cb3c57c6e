// SPDX-License-Identifier: Apache-2.0
// Who stands where: the pods of the demo, pods that only hold a place and its labels, and addresses outside of the cluster. Pure.
import { COMPONENTS, LABEL, labelsOf } from "../../operator/imcluster/names.ts";
import type { Place } from "../../operator/imcluster/testing/network-judge.ts";
import { FLEET, type Name, WORLD } from "../../operator/imcluster/testing/network-world.ts";
import type { Pod } from "../../operator/kube/types.ts";
import { DEMO_NAME, DEMO_NAMESPACE } from "../../scripts/up/demo.ts";

/** On all that {@link standIns} makes, so that it can be waited for and removed. */
export const STAND_IN = "imcluster.io/stand-in";

/** Where connections come from and go to. */
export interface Spot {
  name: string;
  place: Place;
  /** Of Kubernetes; undefined: the machine itself, outside of the cluster. */
  node?: string | undefined;
  /** The fleet's or the operator's: policies of ours are about it. */
  isOurs: boolean;
}

/** Real pods have these places. */
const REAL: readonly Name[] = [...FLEET.filter((name) => name !== "migrate"), "operator", "dns"];
/** The table's fleet lives in another namespace than the demo. */
const TABLE_NAMESPACE = "shop";

const podName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, "-");

/** Namespaces and pods, one for every pod of the table that is not real. @param image that does nothing */
export function standIns(image: string): object[] {
  const pods = (Object.entries(WORLD) as [Name, Place][]).flatMap(([name, { namespace, labels }]) => {
    if (namespace === undefined || REAL.includes(name)) return [];
    const where = namespace === TABLE_NAMESPACE ? DEMO_NAMESPACE : namespace;
    return [{ name, where, labels: name === "migrate" ? labelsOf(DEMO_NAME, "migrate") : labels }];
  });
  const namespaces = [...new Set(pods.map(({ where }) => where))].map((name) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name },
  }));
  return [...namespaces, ...pods.map(({ name, where, labels }) => standIn(podName(name), where, { ...labels }, image))];
}

function standIn(name: string, namespace: string, labels: Record<string, string>, image: string): object {
  const security = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] }, readOnlyRootFilesystem: true };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { ...labels, [STAND_IN]: "true" } },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsNonRoot: true, runAsUser: 65535, seccompProfile: { type: "RuntimeDefault" } },
      containers: [{ name: "nothing", image, imagePullPolicy: "Never", securityContext: security }],
    },
  };
}

/** Addresses that the machine takes for a while, on the bridge of the cluster: what comes from there or goes there is outside. */
export const OUTSIDE = ["client", "provider", "node's dns"] as const satisfies readonly Name[];

export const outsideSpots = (): Spot[] =>
  OUTSIDE.map((name) => ({ name, place: { ip: WORLD[name].ip }, isOurs: false }));

/** Every pod that runs and has an address of its own. */
export function podSpots(pods: readonly Pod[]): Spot[] {
  return pods.flatMap(({ metadata, spec, status }): Spot[] => {
    const { namespace = "", labels = {}, name } = metadata;
    const ip = status?.podIP;
    const isReady = status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;
    if (!ip || !isReady || metadata.deletionTimestamp || ip === status?.hostIP) return [];
    const place = { ip, namespace, labels };
    return [{ name: `${namespace}/${name}`, place, node: spec.nodeName, isOurs: isOurs(place) }];
  });
}

function isOurs({ namespace, labels = {} }: Place): boolean {
  const component = labels[LABEL.component] ?? "";
  const isFleet = labels[LABEL.cluster] === DEMO_NAME && (COMPONENTS as readonly string[]).includes(component);
  const isOperator = labels[LABEL.name] === "im-operator" && labels[STAND_IN] === undefined;
  return (namespace === DEMO_NAMESPACE && isFleet) || isOperator;
}
