// SPDX-License-Identifier: Apache-2.0
// The local cluster with its demo, the operator, and whoever is stood up beside them.
import { join } from "node:path";
import { LABEL } from "../../operator/imcluster/names.ts";
import type { NetworkPolicy, Pod } from "../../operator/kube/types.ts";
import { stopEnforcer } from "../../scripts/cluster/enforcer.ts";
import { PAUSE_REF } from "../../scripts/cluster/image/system.ts";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import type { Progress } from "../../scripts/cluster/progress.ts";
import { applyDemo, ensureTarget, OPERATOR_NAMESPACE } from "../../scripts/up/bring-up.ts";
import { DEMO_NAME, DEMO_NAMESPACE } from "../../scripts/up/demo.ts";
import type { KubeTools } from "../../scripts/up/kube-tools.ts";
import { type OperandImages, operatorRelease } from "../../scripts/up/operator-release.ts";
import { eventually, getImCluster, isCondition } from "../cluster/real-cluster.ts";
import { STAND_IN, standIns } from "./spots.ts";

const MINUTE_MS = 60_000;

export interface Scene {
  tools: KubeTools;
  images: OperandImages;
}

/** The operator, with or without the chart's NetworkPolicy. */
export const release = ({ tools, images }: Scene, isGuarded: boolean): Promise<void> =>
  operatorRelease(tools, images, {
    namespace: OPERATOR_NAMESPACE,
    chart: join(PROJECT_ROOT, "charts/im-operator"),
    extraArgs: ["--set", `networkPolicy.enabled=${isGuarded}`],
  });

/** Changes the demo's spec. */
export const patch = ({ tools }: Scene, spec: object): Promise<string> =>
  tools.kubectl(["patch", "imc", DEMO_NAME, "-n", DEMO_NAMESPACE, "--type=merge", "-p", JSON.stringify({ spec })]);

/** Of all namespaces. */
export const policiesIn = async ({ tools }: Scene): Promise<NetworkPolicy[]> =>
  (await tools.getJson<{ items: NetworkPolicy[] }>(["networkpolicies", "--all-namespaces"])).items;

export const podsIn = async ({ tools }: Scene): Promise<Pod[]> =>
  (await tools.getJson<{ items: Pod[] }>(["pods", "--all-namespaces"])).items;

/** The demo's entries, stand-ins left out. */
export const entriesIn = async (scene: Scene): Promise<Pod[]> =>
  (await podsIn(scene)).filter(
    ({ metadata: { namespace, labels = {} } }) =>
      namespace === DEMO_NAMESPACE &&
      labels[LABEL.cluster] === DEMO_NAME &&
      labels[LABEL.component] === "entry" &&
      labels[STAND_IN] === undefined,
  );

/** The operator has done what the spec says. */
export async function settled({ tools }: Scene): Promise<void> {
  await eventually("the ImCluster is settled", 3 * MINUTE_MS, async () => {
    const object = await getImCluster(tools, DEMO_NAME);
    const { ready = 0, replicas = 0 } = object.status?.entry ?? {};
    const isDone = object.status?.phase === "Ready" && isCondition(object, "Ready") && ready === replicas;
    return isDone && object.spec.entry?.replicas === ready ? true : undefined;
  });
}

/** Brings up what is missing; nothing has a NetworkPolicy then. */
export async function prepare(progress: Progress): Promise<Scene> {
  const { tools, images } = await ensureTarget({ context: undefined, progress });
  const scene = { tools, images };
  await release(scene, false);
  await applyDemo(tools, images.imcluster, { progress });
  await patch(scene, { networkPolicy: null });
  const stood = { apiVersion: "v1", kind: "List", items: standIns(PAUSE_REF) };
  await tools.kubectl(["apply", "-f", "-"], { input: JSON.stringify(stood) });
  const wait = ["wait", "--for=condition=Ready", "pods", "--all-namespaces", "-l", STAND_IN, "--timeout=60s"];
  await tools.kubectl(wait, { timeoutMs: 2 * MINUTE_MS });
  await settled(scene);
  return scene;
}

/** As `make up` leaves it. Goes on where a step fails: it may be called because of that. */
export async function clean(scene: Scene): Promise<void> {
  const spec = { networkPolicy: null, entry: { replicas: 3, podTemplate: null } };
  await Promise.allSettled([patch(scene, spec), release(scene, false)]);
  await stopEnforcer();
  await scene.tools.tryKubectl(["delete", "pods", "--all-namespaces", "-l", STAND_IN, "--grace-period=0", "--force"]);
}
