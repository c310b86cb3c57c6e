// SPDX-License-Identifier: Apache-2.0
import type { PodDisruptionBudget, ServiceAccount } from "../../kube/types.ts";
import { type PodRole, selectorLabels } from "../names.ts";
import { type BuildContext, owned, perContext } from "./context.ts";

/**
 * Node drains and autoscalers may take one pod of a component at a time.
 * @param minAvailable where Kubernetes cannot know how many there should be: so many stay
 */
export const disruptionBudget = perContext(
  (context: BuildContext, role: PodRole, minAvailable?: number): PodDisruptionBudget => {
    return owned(context, role, {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: context.names[role] },
      spec: {
        ...(minAvailable === undefined ? { maxUnavailable: 1 } : { minAvailable }),
        selector: { matchLabels: selectorLabels(context.cluster.metadata.name, role) },
        // A pod that is not ready serves nobody: it may always be moved.
        unhealthyPodEvictionPolicy: "AlwaysAllow",
      },
    });
  },
);

/** An account without rights and without a token: nothing in the fleet talks to the Kubernetes API. */
export const serviceAccount = perContext((context: BuildContext, role: PodRole): ServiceAccount => {
  return owned(context, role, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: context.names[role] },
    automountServiceAccountToken: false,
  });
});
