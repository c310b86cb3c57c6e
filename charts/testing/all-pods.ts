// SPDX-License-Identifier: Apache-2.0
import { postgresStatefulSet, redisStatefulSet } from "../../operator/imcluster/resources/datastores.ts";
import { entryPod } from "../../operator/imcluster/resources/entry-pod.ts";
import { extlogicDeployment } from "../../operator/imcluster/resources/extlogic.ts";
import { logicDeployment } from "../../operator/imcluster/resources/logic.ts";
import { migrateJob } from "../../operator/imcluster/resources/migrate-job.ts";
import { sampleCluster, sampleContext, sampleSecrets } from "../../operator/imcluster/testing/sample.ts";
import { byKind, render } from "./helm.ts";
import { type PodLike, podOf } from "./restricted.ts";

/** Every pod that the operator and the charts make, by what it is. */
export async function allPods(): Promise<[name: string, spec: PodLike][]> {
  const cluster = sampleCluster();
  const context = sampleContext(cluster, sampleSecrets(cluster));
  const made = {
    entry: entryPod(context, "abcde").spec,
    logic: logicDeployment(context).spec.template.spec,
    extlogic: extlogicDeployment(context).spec.template.spec,
    migrate: migrateJob(context).spec.template.spec,
    postgres: postgresStatefulSet(context).spec.template.spec,
    redis: redisStatefulSet(context).spec.template.spec,
  };
  const rendered = {
    operator: byKind(await render("im-operator"), "Deployment")[0],
    "helm test": byKind(await render("im-cluster"), "Pod")[0],
  };
  const own = Object.entries(made) as unknown as [string, PodLike][];
  const ofCharts = Object.entries(rendered).map(([name, manifest]): [string, PodLike] => {
    const pod = manifest && podOf(manifest);
    if (!pod) throw new Error(`no pod of ${name} is rendered`);
    return [name, pod];
  });
  return [...own, ...ofCharts];
}
