// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { join } from "node:path";
import { cgroupVersion } from "./cgroups.ts";
import type { Binaries } from "./control-plane.ts";
import { ClusterFault } from "./fault.ts";
import { PAUSE_REF } from "./image/system.ts";
import {
  CLUSTER_DOMAIN,
  DNS_ADDRESS,
  HOST_ADDRESS,
  KUBE_PROXY_HEALTH_PORT,
  type NodeLayout,
  POD_SUBNET,
} from "./layout.ts";
import { pkiFile } from "./pki.ts";

/** Configuration files of one node, by path. */
export type NodeFiles = Readonly<Record<string, string>>;

/** The first of `paths` that exists. */
function firstExisting(what: string, paths: readonly string[]): string {
  const found = paths.find((path) => existsSync(path));
  if (!found) throw new ClusterFault(`${what} is in none of ${paths.join(", ")}`, "Install it, then start again.");
  return found;
}

const toJson = (document: unknown): string => `${JSON.stringify(document, null, 2)}\n`;

/** The bridge plugin with addresses from the node's own subnet. Masquerading is kube-proxy's business. */
function cniConfiguration(node: NodeLayout): string {
  return toJson({
    cniVersion: "1.0.0",
    name: "imc",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: "host-local",
          dataDir: join(node.folder, "ipam"),
          ranges: [[{ subnet: node.podSubnet }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  });
}

function containerdConfiguration(node: NodeLayout, binaries: Binaries): string {
  const runc = firstExisting("runc", ["/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc"]);
  const plugins = firstExisting("the CNI plugin `bridge`", ["/usr/lib/cni/bridge", "/opt/cni/bin/bridge"]).replace(
    /\/bridge$/,
    "",
  );
  return `version = 3
root = "${node.folder}/containerd"
state = "${node.runFolder}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs", "io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "${node.containerdSocket}"
[ttrpc]
  address = "${node.containerdSocket}.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
  path = "${node.folder}/opt"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${PAUSE_REF}"

[plugins."io.containerd.cri.v1.runtime"]
  # A negative OOM score needs a capability that root may lack inside a container or VM.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["${plugins}"]
    conf_dir = "${node.folder}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    runtime_path = "${binaries["containerd-shim-runc-v2"] ?? ""}"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = "${runc}"
`;
}

function kubeletConfiguration(node: NodeLayout): string {
  return toJson({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: pkiFile("ca.crt") },
    },
    authorization: { mode: "Webhook" },
    tlsCertFile: pkiFile(`${node.name}.crt`),
    tlsPrivateKeyFile: pkiFile(`${node.name}.key`),
    clusterDNS: [DNS_ADDRESS],
    clusterDomain: CLUSTER_DOMAIN,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${node.cgroup}`,
    ...(cgroupVersion() === 1 ? { failCgroupV1: false } : {}),
    failSwapOn: false,
    enforceNodeAllocatable: [],
    oomScoreAdj: 0,
    containerRuntimeEndpoint: `unix://${node.containerdSocket}`,
    resolvConf: join(node.folder, "resolv.conf"),
    port: 10250,
    readOnlyPort: 0,
    healthzBindAddress: "127.0.0.1",
    // The disk belongs to the whole machine: only a nearly full one is a reason to evict pods or drop images.
    imageGCHighThresholdPercent: 99,
    imageGCLowThresholdPercent: 98,
    evictionHard: { "memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    podLogsDir: join(node.folder, "pod-logs"),
    volumePluginDir: join(node.folder, "volume-plugins"),
    shutdownGracePeriod: "0s",
    maxPods: 100,
  });
}

function kubeProxyConfiguration(node: NodeLayout): string {
  return toJson({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig: pkiFile("proxy.kubeconfig") },
    mode: "iptables",
    clusterCIDR: POD_SUBNET,
    hostnameOverride: node.name,
    oomScoreAdj: 0,
    // The limits are the host's, not the node's: leave them alone.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    bindAddress: "0.0.0.0",
    healthzBindAddress: `0.0.0.0:${KUBE_PROXY_HEALTH_PORT}`,
    metricsBindAddress: "127.0.0.1:10249",
  });
}

/** Where each program of a node finds its configuration. */
export const nodeFilePaths = (
  node: NodeLayout,
): Record<"containerd" | "kubelet" | "kubeProxy" | "cni" | "resolver", string> => ({
  containerd: join(node.folder, "containerd.toml"),
  kubelet: join(node.folder, "kubelet.json"),
  kubeProxy: join(node.folder, "kube-proxy.json"),
  cni: join(node.folder, "cni/10-imc.conflist"),
  resolver: join(node.folder, "resolv.conf"),
});

/** The content of every configuration file of a node. */
export function nodeFiles(node: NodeLayout, binaries: Binaries): NodeFiles {
  const paths = nodeFilePaths(node);
  return {
    [paths.containerd]: containerdConfiguration(node, binaries),
    [paths.kubelet]: kubeletConfiguration(node),
    [paths.kubeProxy]: kubeProxyConfiguration(node),
    [paths.cni]: cniConfiguration(node),
    [paths.resolver]: `nameserver ${HOST_ADDRESS}\n`,
  };
}
