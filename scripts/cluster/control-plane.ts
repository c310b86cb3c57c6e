// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import type { Kube } from "./kube.ts";
import {
  API_PORT,
  API_SERVER,
  CLUSTER_DOMAIN,
  ETCD_CLIENT_PORT,
  ETCD_PEER_PORT,
  HOST_ADDRESS,
  SERVICE_SUBNET,
} from "./layout.ts";
import { clusterRoot } from "./paths.ts";
import { pkiFile } from "./pki.ts";
import { type ProcessSpec, startProcess } from "./processes.ts";
import type { RunContext } from "./progress.ts";
import { waitFor } from "./wait.ts";

/** Paths of the programs, as ensureBinaries returns them. */
export type Binaries = Readonly<Record<string, string>>;

/** Names of the processes of the control plane, in the order in which they start. */
export const CONTROL_PLANE = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;

const READY_TIMEOUT_MS = 60_000;
const ETCD_CLIENT_URL = `http://127.0.0.1:${ETCD_CLIENT_PORT}`;

/** `{ "etcd-servers": "x" }` -> `["--etcd-servers=x"]` */
function toFlags(flags: Readonly<Record<string, string>>): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

function etcdFlags(): Record<string, string> {
  const peerUrl = `http://127.0.0.1:${ETCD_PEER_PORT}`;
  return {
    "data-dir": join(clusterRoot(), "etcd"),
    "listen-client-urls": ETCD_CLIENT_URL,
    "advertise-client-urls": ETCD_CLIENT_URL,
    "listen-peer-urls": peerUrl,
    "initial-advertise-peer-urls": peerUrl,
    "initial-cluster": `default=${peerUrl}`,
    "auto-compaction-retention": "1h",
  };
}

function apiserverFlags(): Record<string, string> {
  return {
    "etcd-servers": ETCD_CLIENT_URL,
    "bind-address": HOST_ADDRESS,
    "advertise-address": HOST_ADDRESS,
    "secure-port": `${API_PORT}`,
    "tls-cert-file": pkiFile("apiserver.crt"),
    "tls-private-key-file": pkiFile("apiserver.key"),
    "client-ca-file": pkiFile("ca.crt"),
    "service-account-key-file": pkiFile("sa.pub"),
    "service-account-signing-key-file": pkiFile("sa.key"),
    "service-account-issuer": `https://kubernetes.default.svc.${CLUSTER_DOMAIN}`,
    "service-cluster-ip-range": SERVICE_SUBNET,
    // The API server's machine has no kube-proxy: it reaches webhooks by the addresses of their pods.
    "enable-aggregator-routing": "true",
    "authorization-mode": "Node,RBAC",
    "enable-admission-plugins": "NodeRestriction",
    "allow-privileged": "true",
    "kubelet-client-certificate": pkiFile("kubelet-client.crt"),
    "kubelet-client-key": pkiFile("kubelet-client.key"),
    "kubelet-certificate-authority": pkiFile("ca.crt"),
    // By address: logs and exec would otherwise look up `node1` in the host's DNS.
    "kubelet-preferred-address-types": "InternalIP",
    "requestheader-client-ca-file": pkiFile("ca.crt"),
    "requestheader-allowed-names": "front-proxy-client",
    "requestheader-username-headers": "X-Remote-User",
    "requestheader-group-headers": "X-Remote-Group",
    "requestheader-extra-headers-prefix": "X-Remote-Extra-",
    "proxy-client-cert-file": pkiFile("front-proxy.crt"),
    "proxy-client-key-file": pkiFile("front-proxy.key"),
    profiling: "false",
  };
}

function clientFlags(user: string): Record<string, string> {
  const kubeconfig = pkiFile(`${user}.kubeconfig`);
  return {
    kubeconfig,
    "authentication-kubeconfig": kubeconfig,
    "authorization-kubeconfig": kubeconfig,
    "leader-elect": "false",
    "bind-address": HOST_ADDRESS,
    profiling: "false",
  };
}

function controllerManagerFlags(): Record<string, string> {
  return {
    ...clientFlags("controller-manager"),
    "use-service-account-credentials": "true",
    "service-account-private-key-file": pkiFile("sa.key"),
    "root-ca-file": pkiFile("ca.crt"),
    "cluster-signing-cert-file": pkiFile("ca.crt"),
    "cluster-signing-key-file": pkiFile("ca.key"),
    // Nodes have fixed pod subnets; the controller would hand them out in the order in which nodes happen to register.
    "allocate-node-cidrs": "false",
    "service-cluster-ip-range": SERVICE_SUBNET,
    // Made at start even when nobody uses it; the default lies below /usr.
    "flex-volume-plugin-dir": join(clusterRoot(), "volume-plugins"),
  };
}

function processSpec(name: string, binaries: Binaries, flags: Record<string, string>): ProcessSpec {
  return { name, command: [binaries[name] ?? name, ...toFlags(flags)] };
}

/** Starts etcd, the API server, the controller manager and the scheduler; resolves when the API server is ready. */
export async function ensureControlPlane(binaries: Binaries, kube: Kube, context: RunContext): Promise<void> {
  const outcomes = [
    await startProcess(processSpec("etcd", binaries, etcdFlags())),
    await startProcess(processSpec("kube-apiserver", binaries, apiserverFlags())),
  ];
  await waitFor(async () => (await kube.call("GET", "/readyz")) === "ok", {
    what: `the API server at ${API_SERVER} is ready`,
    timeoutMs: READY_TIMEOUT_MS,
    signal: context.signal,
    processes: ["etcd", "kube-apiserver"],
  });
  outcomes.push(
    await startProcess(processSpec("kube-controller-manager", binaries, controllerManagerFlags())),
    await startProcess(processSpec("kube-scheduler", binaries, clientFlags("scheduler"))),
  );
  if (outcomes.some((outcome) => outcome !== "running")) context.progress.line("control plane ready");
}
