// SPDX-License-Identifier: Apache-2.0
import type { Pod } from "../../kube/types.ts";
import { hashOf } from "../hash.ts";
import { ANNOTATION, FINALIZER, LABEL, PORT } from "../names.ts";
import { durationMs } from "../units.ts";
import { type BuildContext, owned, perContext, serviceHost } from "./context.ts";
import { LOG_LEVEL_ENV, logLevelMount } from "./log-levels.ts";
import {
  adminProbes,
  type EnvVar,
  fromField,
  IMAGE_UID,
  INTERNAL_TLS_ENV,
  identityEnv,
  internalTls,
  leavesLostNodes,
  type Mount,
  podSpec,
  secretMount,
} from "./pod-parts.ts";
import { tracingEnv, tracingHash, tracingMounts } from "./tracing.ts";

/** Where the image holds the sample chat page. */
const DEMO_DIR = "/app/demo";
const PODINFO_DIR = "/etc/imcluster/podinfo";
/** Time for an entry to leave after its drain deadline, before the kubelet kills it. */
const GRACE_MARGIN_MS = 10_000;

/** Hash of everything that needs a new pod when it changes; label `imcluster.io/revision`. */
export const entryRevision = perContext((context: BuildContext): string => {
  const { podTemplate } = context.cluster.spec.entry;
  const { labels, annotations } = podTemplate ?? {};
  const [tracing] = tracingHash(context);
  const internalTls = context.hashes.internal.entry;
  return hashOf({ spec: entryPodSpec(context), labels, annotations, internalTls, ...(tracing ? { tracing } : {}) });
});

/**
 * An entry pod of the wanted revision. It is spread over the nodes among those of the same revision: an update makes it beside old
 * ones that are about to go, and they must not say where it runs. That is part of no hash: it follows from the revision.
 *
 * @param suffix what makes the name unique, 5 characters
 */
export function entryPod(context: BuildContext, suffix: string): Pod {
  const { podTemplate } = context.cluster.spec.entry;
  const revision = { [LABEL.revision]: entryRevision(context) };
  return owned(context, "entry", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${context.names.entry}-${suffix}`,
      labels: { ...podTemplate?.labels, ...revision },
      annotations: { ...podTemplate?.annotations },
      finalizers: [FINALIZER.entry],
    },
    spec: entryPodSpec(context, revision),
  });
}

/** Networks note there what they gave a pod. */
const NOTED_BY_NETWORKS = /(^|[./])(cni|ovn)[./]/;

/** A pod as another one was made, also when the spec says something else by now. @param suffix as for {@link entryPod} */
export function entryPodLike(context: BuildContext, suffix: string, { metadata, spec }: Pod): Pod {
  const given = Object.entries(metadata.annotations ?? {});
  const annotations = given.filter(([key]) => !key.startsWith("imcluster.io/") && !NOTED_BY_NETWORKS.test(key));
  // What the scheduler, an admission plugin or a debugger added is theirs to add again.
  const {
    nodeName: _,
    priority: __,
    ephemeralContainers: ___,
    ...made
  } = spec as Pod["spec"] & Record<string, unknown>;
  return owned(context, "entry", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${context.names.entry}-${suffix}`,
      labels: { ...metadata.labels },
      annotations: Object.fromEntries(annotations),
      finalizers: [FINALIZER.entry],
    },
    spec: made as Pod["spec"],
  });
}

function entryPodSpec(context: BuildContext, spreadBeside: Record<string, string> = {}): Pod["spec"] {
  const { entry } = context.cluster.spec;
  const spec = podSpec(context, {
    component: "entry",
    uid: IMAGE_UID,
    serviceAccountName: context.names.entry,
    terminationGracePeriodSeconds: Math.ceil((durationMs(entry.drain.deadline) + GRACE_MARGIN_MS) / 1000),
    resources: entry.resources,
    template: entry.podTemplate,
    mounts: entryMounts(context),
    spreadBeside,
    container: {
      name: "entry",
      image: context.image,
      command: ["node", "gateway/main.ts"],
      env: entryEnv(context),
      ports: [
        { name: "tls", containerPort: PORT.tls },
        { name: "http", containerPort: PORT.http },
        { name: "control", containerPort: PORT.entryControl },
        { name: "admin", containerPort: PORT.admin },
      ],
      ...adminProbes(1),
    },
  });
  const tolerations = [...(entry.podTemplate?.tolerations ?? []), ...leavesLostNodes()];
  return { ...spec, restartPolicy: "Always", tolerations };
}

function entryEnv(context: BuildContext): EnvVar[] {
  const { entry } = context.cluster.spec;
  const ms = (name: string, duration: string): EnvVar => ({ name, value: String(durationMs(duration)) });
  return [
    ...identityEnv(context),
    ...tracingEnv(context),
    { name: "IM_POD_IP", valueFrom: fromField("status.podIP") },
    ...(entry.origins?.length ? [{ name: "IM_HTTP_ORIGINS", value: entry.origins.join(",") }] : []),
    ...(entry.endpoints?.length ? [{ name: "IM_ENDPOINTS", value: entry.endpoints.join(",") }] : []),
    INTERNAL_TLS_ENV,
    LOG_LEVEL_ENV,
    { name: "IM_TLS_DIR", value: "/etc/imcluster/tls" },
    { name: "IM_TLS_MIN_VERSION", value: context.cluster.spec.tls.minVersion },
    { name: "IM_PODINFO_DIR", value: PODINFO_DIR },
    { name: "IM_LOGIC_TARGETS", value: `dns:${serviceHost(context, context.names.logic)}:${PORT.logicGrpc}` },
    { name: "IM_MAX_CONNECTIONS", value: String(entry.maxConnectionsPerPod) },
    ms("IM_PING_INTERVAL_MS", entry.pingInterval),
    ms("IM_DRAIN_WINDOW_MS", entry.drain.window),
    ms("IM_DRAIN_DEADLINE_MS", entry.drain.deadline),
    ...limitsEnv(context),
    ...(entry.demo ? [{ name: "IM_DEMO_DIR", value: DEMO_DIR }] : []),
  ];
}

function limitsEnv(context: BuildContext): EnvVar[] {
  const { limits, proxyProtocol } = context.cluster.spec.entry;
  const values: Readonly<Record<string, number | boolean>> = {
    IM_LIMIT_PEER_ADDRESSES: limits.peerAddresses,
    IM_ADDRESS_CONNECTIONS_PER_SECOND: limits.connectionsPerSecondPerAddress,
    IM_ADDRESS_CONNECTIONS: limits.connectionsPerAddress,
    IM_ADDRESS_FAILED_LOGINS_PER_MINUTE: limits.failedLoginsPerMinutePerAddress,
    IM_FRAMES_PER_SECOND: limits.framesPerSecond,
    IM_BYTES_PER_SECOND: limits.bytesPerSecond,
    IM_USER_MESSAGES_PER_SECOND: limits.messagesPerSecondPerUser,
  };
  const env = Object.entries(values).map(([name, value]) => ({ name, value: String(value) }));
  if (proxyProtocol) env.push({ name: "IM_PROXY_CIDRS", value: proxyProtocol.trustedCIDRs.join(",") });
  return env;
}

function entryMounts(context: BuildContext): Mount[] {
  // A container that starts again must know that its pod leaves, whether or not the operator is there.
  const podinfo = {
    items: [{ path: "drain", fieldRef: { fieldPath: `metadata.annotations['${ANNOTATION.drain}']` } }],
  };
  return [
    secretMount("tls", context.cluster.spec.tls.secretName ?? context.names.tls, "/etc/imcluster/tls", {
      "tls.crt": "tls.crt",
      "tls.key": "tls.key",
    }),
    internalTls(context, "entry"),
    logLevelMount(context, "entry"),
    ...tracingMounts(context),
    { volume: { name: "podinfo", downwardAPI: podinfo }, path: PODINFO_DIR, readOnly: true },
  ];
}

/** The intent that the operator left on an entry pod. */
export function drainAnnotation(pod: Pod): string | undefined {
  return pod.metadata.annotations?.[ANNOTATION.drain];
}
