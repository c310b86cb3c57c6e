// SPDX-License-Identifier: Apache-2.0
import type { EntryPodTemplateSpec, EntryResourcesSpec } from "../../api/v1alpha1.ts";
import type { Container, Deployment } from "../../kube/types.ts";
import { hashOf } from "../hash.ts";
import { ANNOTATION, labelsOf, selectorLabels } from "../names.ts";
import { type BuildContext, owned } from "./context.ts";
import { IMAGE_UID, leavesLostNodes, type Mount, podSpec } from "./pod-parts.ts";

/** Logic finishes what it has in hand on SIGTERM, well within this. */
const GRACE_SECONDS = 30;
/** Label by which a Deployment tells the pods of its versions apart. */
const POD_TEMPLATE_HASH = "pod-template-hash";

export interface DeploymentParts {
  component: "logic" | "extlogic";
  replicas: number;
  container: Container;
  mounts: readonly Mount[];
  resources: EntryResourcesSpec | undefined;
  template: EntryPodTemplateSpec | undefined;
  /** Contents that need a restart when they change. */
  configHash: readonly string[];
}

/** A stateless Deployment that replaces pods one by one, new before old. */
export function deployment(context: BuildContext, parts: DeploymentParts): Deployment {
  const { component, template } = parts;
  const cluster = context.cluster.metadata.name;
  return owned(context, component, {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: context.names[component] },
    spec: {
      replicas: parts.replicas,
      revisionHistoryLimit: 3,
      progressDeadlineSeconds: 300,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      selector: { matchLabels: selectorLabels(cluster, component) },
      template: {
        metadata: {
          labels: { ...template?.labels, ...labelsOf(cluster, component) },
          annotations: { ...template?.annotations, [ANNOTATION.configHash]: hashOf(parts.configHash) },
        },
        spec: {
          ...podSpec(context, {
            component,
            uid: IMAGE_UID,
            serviceAccountName: context.names[component],
            terminationGracePeriodSeconds: GRACE_SECONDS,
            // Else pods of the old version keep new ones away from their node, and all end up on the other one.
            spreadWithin: [POD_TEMPLATE_HASH],
            container: parts.container,
            mounts: parts.mounts,
            resources: parts.resources,
            template,
          }),
          tolerations: [...(template?.tolerations ?? []), ...leavesLostNodes()],
        },
      },
    },
  });
}
