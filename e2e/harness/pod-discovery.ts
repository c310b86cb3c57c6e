// SPDX-License-Identifier: Apache-2.0
// Debian's Prometheus is built without Kubernetes' service discovery: what that would find is told to it by a file instead.

/** A pod, as far as discovery is concerned. */
export interface DiscoveredPod {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: readonly {
      readonly name: string;
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status?: { readonly podIP?: string; readonly phase?: string };
}

/** An element of a file of `file_sd_configs`. */
export interface TargetGroup {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Letters, digits and `_` only, as Prometheus does it. */
const labelName = (key: string): string => key.replace(/[^a-zA-Z0-9_]/g, "_");

/**
 * The targets that `kubernetes_sd_configs` with `role: pod` finds, one per port of a container, with the meta labels that our relabeling
 * reads. Pure. See the Prometheus documentation, kubernetes_sd_config, role pod.
 */
export function targetGroups(pods: readonly DiscoveredPod[]): TargetGroup[] {
  return pods.flatMap(({ metadata, spec, status }) => {
    const address = status?.podIP;
    if (address === undefined) return [];
    const host = address.includes(":") ? `[${address}]` : address;
    const ofPod = {
      __meta_kubernetes_namespace: metadata.namespace,
      __meta_kubernetes_pod_name: metadata.name,
      __meta_kubernetes_pod_phase: status?.phase ?? "",
      ...Object.fromEntries(
        Object.entries(metadata.labels ?? {}).map(([key, value]) => [
          `__meta_kubernetes_pod_label_${labelName(key)}`,
          value,
        ]),
      ),
    };
    return spec.containers.flatMap((container) =>
      (container.ports ?? []).map((port) => ({
        targets: [`${host}:${port.containerPort}`],
        labels: {
          ...ofPod,
          __meta_kubernetes_pod_container_name: container.name,
          __meta_kubernetes_pod_container_port_name: port.name ?? "",
        },
      })),
    );
  });
}
