// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { COREDNS_REF } from "./image/system.ts";
import type { Kube, KubeObject } from "./kube.ts";
import { CLUSTER_DOMAIN, DNS_ADDRESS, STORAGE_CLASS } from "./layout.ts";

/** As where others run it: NetworkPolicies know the ports of pods, not those of the Service before them. */
const DNS_PORT = 53;
/** Name under which our provisioner answers. */
export const PROVISIONER = "imcluster.io/local";

const COREFILE = `.:${DNS_PORT} {
  errors
  health :8080
  ready :8181
  kubernetes ${CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {
    pods insecure
    ttl 5
  }
  cache 5
  loadbalance
}
`;

const DNS_LABELS = { "k8s-app": "kube-dns" };
const dnsMetadata = { name: "coredns", namespace: "kube-system" };

function dnsAccess(): KubeObject[] {
  const rules = [
    { apiGroups: [""], resources: ["endpoints", "services", "pods", "namespaces"], verbs: ["list", "watch"] },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
  ];
  const role = { name: "system:coredns" };
  const access = [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: dnsMetadata },
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: role, rules },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: role,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role.name },
      subjects: [{ kind: "ServiceAccount", ...dnsMetadata }],
    },
  ];
  return access;
}

function dnsPodSpec(): object {
  return {
    serviceAccountName: dnsMetadata.name,
    priorityClassName: "system-cluster-critical",
    // One on each node, so that names resolve while a node is cut off.
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "kubernetes.io/hostname",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: { matchLabels: DNS_LABELS },
      },
    ],
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: "RuntimeDefault" },
      // So that port 53 needs no capability.
      sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "53" }],
    },
    containers: [
      {
        name: "coredns",
        image: COREDNS_REF,
        imagePullPolicy: "Never",
        args: ["-conf", "/etc/coredns/Corefile"],
        ports: [
          { name: "dns", containerPort: DNS_PORT, protocol: "UDP" },
          { name: "dns-tcp", containerPort: DNS_PORT, protocol: "TCP" },
        ],
        readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
        livenessProbe: { httpGet: { path: "/health", port: 8080 }, initialDelaySeconds: 10, failureThreshold: 5 },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        resources: { limits: { memory: "170Mi" }, requests: { cpu: "10m", memory: "40Mi" } },
        volumeMounts: [{ name: "config", mountPath: "/etc/coredns", readOnly: true }],
      },
    ],
    volumes: [{ name: "config", configMap: { name: dnsMetadata.name } }],
  };
}

function dnsObjects(): KubeObject[] {
  const annotations = { "imcluster.io/corefile": createHash("sha256").update(COREFILE).digest("hex").slice(0, 12) };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { ...dnsMetadata, labels: DNS_LABELS },
    spec: {
      replicas: 2,
      selector: { matchLabels: DNS_LABELS },
      template: { metadata: { labels: DNS_LABELS, annotations }, spec: dnsPodSpec() },
    },
  };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kube-dns", namespace: "kube-system", labels: DNS_LABELS },
    spec: {
      clusterIP: DNS_ADDRESS,
      selector: DNS_LABELS,
      ports: [
        { name: "dns", port: 53, targetPort: DNS_PORT, protocol: "UDP" },
        { name: "dns-tcp", port: 53, targetPort: DNS_PORT, protocol: "TCP" },
      ],
    },
  };
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: dnsMetadata, data: { Corefile: COREFILE } };
  return [...dnsAccess(), configMap, deployment, service];
}

function storageClass(): KubeObject {
  const object = {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: STORAGE_CLASS, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: PROVISIONER,
    volumeBindingMode: "WaitForFirstConsumer",
    reclaimPolicy: "Delete",
  };
  return object;
}

/** CoreDNS and the storage class. Server-side apply, so that doing it again changes nothing. */
export async function applyManifests(kube: Kube): Promise<void> {
  for (const object of [storageClass(), ...dnsObjects()]) await kube.apply(object);
}
