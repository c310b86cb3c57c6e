// SPDX-License-Identifier: Apache-2.0
import { IM_CLUSTERS, type Resource } from "../kube/types.ts";
import type { ImCluster } from "./v1alpha1.ts";

/** ImClusters with the generated types. */
export const IM_CLUSTER: Resource<ImCluster> = IM_CLUSTERS as Resource<ImCluster>;
