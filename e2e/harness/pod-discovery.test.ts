// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type DiscoveredPod, targetGroups } from "./pod-discovery.ts";

const pod = (status: DiscoveredPod["status"], labels = {}): DiscoveredPod => ({
  metadata: { name: "demo-entry-0", namespace: "shop", labels },
  spec: {
    containers: [
      { name: "entry", ports: [{ name: "tls", containerPort: 443 }, { containerPort: 9090 }] },
      { name: "idle" },
    ],
  },
  ...(status ? { status } : {}),
});

describe("pods as targets", () => {
  it("are one per port, with the labels that discovery would give", () => {
    const labels = { "imcluster.io/cluster": "demo", app: "x" };
    const groups = targetGroups([pod({ podIP: "10.0.0.7", phase: "Running" }, labels)]);
    const ofPod = {
      __meta_kubernetes_namespace: "shop",
      __meta_kubernetes_pod_name: "demo-entry-0",
      __meta_kubernetes_pod_phase: "Running",
      __meta_kubernetes_pod_label_imcluster_io_cluster: "demo",
      __meta_kubernetes_pod_label_app: "x",
      __meta_kubernetes_pod_container_name: "entry",
    };
    assert.deepEqual(groups, [
      { targets: ["10.0.0.7:443"], labels: { ...ofPod, __meta_kubernetes_pod_container_port_name: "tls" } },
      { targets: ["10.0.0.7:9090"], labels: { ...ofPod, __meta_kubernetes_pod_container_port_name: "" } },
    ]);
  });

  it("need an address", () => {
    assert.deepEqual(targetGroups([pod({ phase: "Pending" }), pod(undefined)]), []);
    assert.deepEqual(targetGroups([pod({ podIP: "fd00::7" })])[0]?.targets, ["[fd00::7]:443"]);
  });
});
