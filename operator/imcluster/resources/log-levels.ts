// SPDX-License-Identifier: Apache-2.0
import type { ConfigMap } from "../../kube/types.ts";
import { type PodRole, ROLES } from "../names.ts";
import { type BuildContext, owned, perContext } from "./context.ts";
import { configMapMount, type EnvVar, type Mount } from "./pod-parts.ts";

const DIR = "/etc/imcluster/log-level";

/** The level of each component's log. Pods follow their file: a changed level is part of no pod, and rolls none. */
export const logLevelsConfigMap = perContext((context: BuildContext): ConfigMap => {
  const { spec } = context.cluster;
  return owned(context, "logic", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: context.names.logLevels },
    data: Object.fromEntries(ROLES.map((role) => [role, spec[role].logLevel])),
  });
});

/** The file of one component. Pods start without it, too: somebody may have deleted it while no operator ran. */
export function logLevelMount(context: BuildContext, role: PodRole): Mount {
  return configMapMount("log-level", context.names.logLevels, DIR, { [role]: "level" }, { optional: true });
}

export const LOG_LEVEL_ENV: EnvVar = { name: "IM_LOG_LEVEL_DIR", value: DIR };
