// SPDX-License-Identifier: Apache-2.0
// The Pod Security Standard "restricted" as a pure check of a pod: every control of it, and a read-only root besides.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/

interface SecurityContext {
  privileged?: boolean;
  allowPrivilegeEscalation?: boolean;
  readOnlyRootFilesystem?: boolean;
  runAsNonRoot?: boolean;
  runAsUser?: number;
  procMount?: string;
  capabilities?: { drop?: string[]; add?: string[] };
  seccompProfile?: { type?: string };
  appArmorProfile?: { type?: string };
  seLinuxOptions?: { type?: string; user?: string; role?: string };
  windowsOptions?: { hostProcess?: boolean };
  sysctls?: { name: string }[];
}

interface Handler {
  httpGet?: { host?: string };
  tcpSocket?: { host?: string };
}

interface Container {
  name: string;
  securityContext?: SecurityContext;
  ports?: { hostPort?: number }[];
  livenessProbe?: Handler;
  readinessProbe?: Handler;
  startupProbe?: Handler;
  lifecycle?: { postStart?: Handler; preStop?: Handler };
}

export interface PodLike {
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  securityContext?: SecurityContext;
  containers: Container[];
  initContainers?: Container[];
  ephemeralContainers?: Container[];
  volumes?: ({ name: string } & Record<string, unknown>)[];
}

const VOLUMES = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);
const SYSCTLS = new Set([
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
]);
const SECCOMP = new Set(["RuntimeDefault", "Localhost"]);
const APP_ARMOR = new Set(["RuntimeDefault", "Localhost"]);
const SE_LINUX = new Set(["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"]);

/** Controls that the pod's or a container's own context can break. */
function contextFaults(context: SecurityContext): string[] {
  const { seLinuxOptions: selinux, appArmorProfile, seccompProfile } = context;
  return [
    ...(context.runAsUser === 0 ? ["runAsUser is 0"] : []),
    ...(context.runAsNonRoot === false ? ["runAsNonRoot is false"] : []),
    ...(seccompProfile && !SECCOMP.has(seccompProfile.type ?? "") ? [`seccompProfile is ${seccompProfile.type}`] : []),
    ...(appArmorProfile && !APP_ARMOR.has(appArmorProfile.type ?? "")
      ? [`appArmorProfile is ${appArmorProfile.type}`]
      : []),
    ...(selinux && (!SE_LINUX.has(selinux.type ?? "") || selinux.user || selinux.role)
      ? ["seLinuxOptions are its own"]
      : []),
    ...(context.windowsOptions?.hostProcess ? ["hostProcess"] : []),
    ...(context.sysctls ?? []).filter(({ name }) => !SYSCTLS.has(name)).map(({ name }) => `sysctl ${name}`),
  ];
}

/** Hosts that the kubelet would be made to call. */
function calledHosts({ livenessProbe, readinessProbe, startupProbe, lifecycle }: Container): string[] {
  const handlers = [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop];
  return handlers.flatMap((one) => [one?.httpGet?.host, one?.tcpSocket?.host].filter((host) => host !== undefined));
}

function containerFaults(pod: SecurityContext, container: Container): string[] {
  const { securityContext: own = {}, ports = [] } = container;
  const { drop = [], add = [] } = own.capabilities ?? {};
  return [
    ...contextFaults(own),
    ...(own.privileged ? ["privileged"] : []),
    ...(own.allowPrivilegeEscalation === false ? [] : ["allowPrivilegeEscalation is not false"]),
    ...(own.readOnlyRootFilesystem === true ? [] : ["readOnlyRootFilesystem is not true"]),
    ...(drop.includes("ALL") ? [] : ["capabilities do not drop ALL"]),
    ...add.filter((name) => name !== "NET_BIND_SERVICE").map((name) => `capability ${name}`),
    ...((own.procMount ?? "Default") === "Default" ? [] : [`procMount is ${own.procMount}`]),
    ...((own.runAsNonRoot ?? pod.runAsNonRoot) === true ? [] : ["runAsNonRoot is not true"]),
    ...((own.seccompProfile ?? pod.seccompProfile) ? [] : ["no seccompProfile"]),
    ...ports.filter(({ hostPort }) => hostPort).map(({ hostPort }) => `hostPort ${hostPort}`),
    ...calledHosts(container).map((host) => `calls host ${host}`),
  ];
}

/** What of the pod breaks the standard: `operator: runAsUser is 0`; none when it is restricted. Pure. */
export function restrictedFaults(pod: PodLike): string[] {
  const context = pod.securityContext ?? {};
  const containers = [...(pod.initContainers ?? []), ...pod.containers, ...(pod.ephemeralContainers ?? [])];
  const volumes = (pod.volumes ?? []).flatMap(({ name, ...source }) =>
    Object.keys(source)
      .filter((kind) => !VOLUMES.has(kind))
      .map((kind) => `volume ${name} is a ${kind}`),
  );
  return [
    ...(["hostNetwork", "hostPID", "hostIPC"] as const).filter((key) => pod[key] === true),
    ...contextFaults(context),
    ...volumes,
    ...containers.flatMap((one) => containerFaults(context, one).map((fault) => `${one.name}: ${fault}`)),
  ];
}

interface Workload {
  kind: string;
  spec?: { template?: { spec?: PodLike }; jobTemplate?: { spec?: { template?: { spec?: PodLike } } } };
}

/** The pod that a manifest makes; undefined when it makes none. */
export function podOf(manifest: { kind: string; spec?: unknown }): PodLike | undefined {
  const { kind, spec } = manifest as Workload;
  if (kind === "Pod") return spec as PodLike | undefined;
  return spec?.template?.spec?.containers ? spec.template.spec : spec?.jobTemplate?.spec?.template?.spec;
}
