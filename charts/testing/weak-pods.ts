// SPDX-License-Identifier: Apache-2.0
// Every control of the Pod Security Standard "restricted", weakened in a pod that has it.
import type { PodLike } from "./restricted.ts";

export interface Weakening {
  /** What {@link restrictedFaults} says, without the name of the container. */
  fault: string;
  /** What the API server says; undefined: our own rule, which the standard does not have. */
  said: RegExp | undefined;
  weaken(pod: Pod): void;
}

type Fields = Record<string, unknown>;
type Pod = PodLike & Fields;

/** Into the first container. */
const own =
  (security: Fields, more: Fields = {}) =>
  (pod: Pod) => {
    const [first] = pod.containers;
    if (first) Object.assign(first, more, { securityContext: { ...first.securityContext, ...security } });
  };
/** Into the pod's own context. */
const all =
  (security: Fields, more: Fields = {}) =>
  (pod: Pod) => {
    Object.assign(pod, more, { securityContext: { ...pod.securityContext, ...security } });
  };
const volume = (source: Fields) => (pod: Pod) => {
  pod.volumes = [...(pod.volumes ?? []), { name: "weak", ...source }];
};
/** A pod has one process namespace: the host's, or one that its containers share. */
const whole = (fields: Fields) => (pod: Pod) => Object.assign(pod, { shareProcessNamespace: false }, fields);
const called = (where: string, kind: string) => (pod: Pod) => {
  const first: Fields = pod.containers[0] as never;
  const handler = { [kind]: { port: 9090, host: "10.0.0.1" } };
  if (where === "lifecycle") Object.assign(first, { lifecycle: { postStart: handler } });
  else Object.assign(first, { [where]: handler });
};

const HOST = /host namespaces/;
const CAPABILITIES = /unrestricted capabilities|non-default capabilities/;

export const WEAKENINGS: readonly Weakening[] = [
  { fault: "hostNetwork", said: HOST, weaken: whole({ hostNetwork: true }) },
  { fault: "hostPID", said: HOST, weaken: whole({ hostPID: true }) },
  { fault: "hostIPC", said: HOST, weaken: whole({ hostIPC: true }) },
  { fault: "privileged", said: /privileged/, weaken: own({ privileged: true, allowPrivilegeEscalation: true }) },
  {
    fault: "allowPrivilegeEscalation is not false",
    said: /allowPrivilegeEscalation != false/,
    weaken: own({ allowPrivilegeEscalation: undefined }),
  },
  { fault: "readOnlyRootFilesystem is not true", said: undefined, weaken: own({ readOnlyRootFilesystem: undefined }) },
  { fault: "capabilities do not drop ALL", said: CAPABILITIES, weaken: own({ capabilities: { drop: ["KILL"] } }) },
  {
    fault: "capability NET_RAW",
    said: CAPABILITIES,
    weaken: own({ capabilities: { drop: ["ALL"], add: ["NET_RAW"] } }),
  },
  {
    fault: "procMount is Unmasked",
    said: /procMount/,
    weaken: (pod) => {
      Object.assign(pod, { hostUsers: false });
      own({ procMount: "Unmasked" })(pod);
    },
  },
  { fault: "runAsUser is 0", said: /runAsUser=0/, weaken: own({ runAsUser: 0 }) },
  { fault: "runAsUser is 0", said: /runAsUser=0/, weaken: all({ runAsUser: 0 }) },
  { fault: "runAsNonRoot is false", said: /runAsNonRoot != true/, weaken: own({ runAsNonRoot: false }) },
  { fault: "runAsNonRoot is not true", said: /runAsNonRoot != true/, weaken: all({ runAsNonRoot: undefined }) },
  {
    fault: "seccompProfile is Unconfined",
    said: /seccompProfile/,
    weaken: own({ seccompProfile: { type: "Unconfined" } }),
  },
  { fault: "no seccompProfile", said: /seccompProfile/, weaken: all({ seccompProfile: undefined }) },
  {
    fault: "appArmorProfile is Unconfined",
    said: /AppArmor profile/i,
    weaken: own({ appArmorProfile: { type: "Unconfined" } }),
  },
  { fault: "seLinuxOptions are its own", said: /seLinuxOptions/, weaken: own({ seLinuxOptions: { type: "spc_t" } }) },
  { fault: "seLinuxOptions are its own", said: /seLinuxOptions/, weaken: all({ seLinuxOptions: { user: "root" } }) },
  {
    fault: "seLinuxOptions are its own",
    said: /seLinuxOptions/,
    weaken: all({ seLinuxOptions: { role: "sysadm_r" } }),
  },
  {
    fault: "hostProcess",
    said: /hostProcess/,
    weaken: (pod) => {
      whole({ hostNetwork: true })(pod);
      all({ windowsOptions: { hostProcess: true } })(pod);
    },
  },
  {
    fault: "sysctl kernel.msgmax",
    said: /forbidden sysctls/,
    weaken: all({ sysctls: [{ name: "kernel.msgmax", value: "1" }] }),
  },
  {
    fault: "volume weak is a hostPath",
    said: /hostPath volumes|restricted volume types/,
    weaken: volume({ hostPath: { path: "/" } }),
  },
  {
    fault: "volume weak is a nfs",
    said: /restricted volume types/,
    weaken: volume({ nfs: { server: "a", path: "/" } }),
  },
  {
    fault: "hostPort 8443",
    said: /hostPort/,
    weaken: (pod) => own({}, { ports: [{ containerPort: 8443, hostPort: 8443 }] })(pod),
  },
  { fault: "calls host 10.0.0.1", said: /probe or lifecycle host/, weaken: called("livenessProbe", "httpGet") },
  { fault: "calls host 10.0.0.1", said: /probe or lifecycle host/, weaken: called("readinessProbe", "tcpSocket") },
  { fault: "calls host 10.0.0.1", said: /probe or lifecycle host/, weaken: called("startupProbe", "httpGet") },
  { fault: "calls host 10.0.0.1", said: /probe or lifecycle host/, weaken: called("lifecycle", "httpGet") },
  {
    fault: "privileged",
    said: /privileged/,
    weaken: (pod) => {
      const [first] = pod.containers;
      if (!first) return;
      const weak = structuredClone({ ...first, name: "weak" });
      pod.initContainers = [
        {
          name: weak.name,
          image: "a",
          securityContext: { ...weak.securityContext, privileged: true, allowPrivilegeEscalation: true },
        } as never,
      ];
    },
  },
];
