// SPDX-License-Identifier: Apache-2.0
import type { EntryPodTemplateSpec, EntryPodTemplateTolerationSpec, EntryResourcesSpec } from "../../api/v1alpha1.ts";
import type { Container, PodSpec } from "../../kube/types.ts";
import { type Component, type StoreRole, selectorLabels } from "../names.ts";
import { durationMs } from "../units.ts";
import type { BuildContext } from "./context.ts";

/** User of our own image; the images of PostgreSQL and Redis have theirs. */
export const IMAGE_UID = 65_532;
/** `postgres` and `redis` of the official images. */
export const DATASTORE_UID = 999;
/** Readable for owner and group (the pod's fsGroup) only. */
export const SECRET_MODE = 0o440;

export interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: unknown;
}

export interface Mount {
  volume: { name: string; [source: string]: unknown };
  path: string;
  readOnly?: boolean;
}

/** Container settings of the "restricted" Pod Security Standard, and a read-only root. */
const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
} as const;

/**
 * The pause container is process 1 of the pod, and ours is not: the kernel drops a SIGTERM for process 1 that comes before the
 * program has a handler, and then the pod would take all of its grace period. PostgreSQL stays process 1: what its lock file says
 * after a crash is about process ids.
 */
const NOT_FIRST_PROCESS = { shareProcessNamespace: true } as const;

export interface PodParts {
  component: Component;
  uid: number;
  container: Container;
  mounts: readonly Mount[];
  resources?: EntryResourcesSpec | undefined;
  template?: EntryPodTemplateSpec | undefined;
  serviceAccountName?: string;
  terminationGracePeriodSeconds: number;
  /** Labels by whose values the pods are spread apart from each other, too. */
  spreadWithin?: readonly string[];
  /** The same with values that are known beforehand. */
  spreadBeside?: Readonly<Record<string, string>>;
}

/** A node that does not answer is given up this fast (Kubernetes' own default is 300 s). */
const NODE_LOST_SECONDS = 30;

/** For pods that have to be somewhere else soon when their node is lost. */
export function leavesLostNodes(): EntryPodTemplateTolerationSpec[] {
  return ["not-ready", "unreachable"].map((state) => ({
    key: `node.kubernetes.io/${state}`,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: NODE_LOST_SECONDS,
  }));
}

/** A pod spec of the "restricted" standard: no root, no capability, no token, read-only root with a /tmp of its own. */
export function podSpec(context: BuildContext, parts: PodParts): PodSpec {
  const { uid, template } = parts;
  const mounts = [...parts.mounts, { volume: { name: "tmp", emptyDir: {} }, path: "/tmp" }];
  const pullSecrets = context.cluster.spec.imagePullSecrets;
  return {
    ...(parts.serviceAccountName ? { serviceAccountName: parts.serviceAccountName } : {}),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(pullSecrets?.length ? { imagePullSecrets: pullSecrets.map((name) => ({ name })) } : {}),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: uid,
      runAsGroup: uid,
      fsGroup: uid,
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    ...(uid === IMAGE_UID ? NOT_FIRST_PROCESS : {}),
    terminationGracePeriodSeconds: parts.terminationGracePeriodSeconds,
    topologySpreadConstraints: [spreadOverNodes(context, parts)],
    ...(template?.nodeSelector ? { nodeSelector: template.nodeSelector } : {}),
    ...(template?.tolerations ? { tolerations: template.tolerations } : {}),
    containers: [
      {
        imagePullPolicy: "IfNotPresent",
        securityContext: CONTAINER_SECURITY,
        ...(parts.resources ? { resources: parts.resources } : {}),
        ...parts.container,
        volumeMounts: mounts.map((mount) => ({
          name: mount.volume.name,
          mountPath: mount.path,
          ...(mount.readOnly ? { readOnly: true } : {}),
        })),
      },
    ],
    volumes: mounts.map((mount) => mount.volume),
  };
}

/** A wish: a pod that waits for a node serves nobody, and a node that is cordoned or full would keep it waiting for good. */
function spreadOverNodes(context: BuildContext, { component, spreadWithin, spreadBeside }: PodParts) {
  const labels = selectorLabels(context.cluster.metadata.name, component);
  return {
    maxSkew: 1,
    topologyKey: "kubernetes.io/hostname",
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: { ...labels, ...spreadBeside } },
    ...(spreadWithin ? { matchLabelKeys: spreadWithin } : {}),
  };
}

/** A Secret as a read-only folder; `items` picks keys and names the files. */
export function secretMount(
  name: string,
  secretName: string,
  path: string,
  items?: Record<string, string>,
  more: { optional?: boolean } = {},
): Mount {
  const picked = items && Object.entries(items).map(([key, file]) => ({ key, path: file }));
  const secret = { secretName, defaultMode: SECRET_MODE, ...(picked ? { items: picked } : {}), ...more };
  return { volume: { name, secret }, path, readOnly: true };
}

/** A ConfigMap as a read-only folder; `items` picks keys and names the files. */
export function configMapMount(
  name: string,
  configMapName: string,
  path: string,
  items: Readonly<Record<string, string>>,
  more: { optional?: boolean } = {},
): Mount {
  const picked = Object.entries(items).map(([key, file]) => ({ key, path: file }));
  const configMap = { name: configMapName, defaultMode: SECRET_MODE, items: picked, ...more };
  return { volume: { name, configMap }, path, readOnly: true };
}

export function emptyDirMount(name: string, path: string): Mount {
  return { volume: { name, emptyDir: {} }, path };
}

const INTERNAL_TLS_DIR = "/etc/imcluster/internal-tls";
const POSTGRES_DIR = "/etc/imcluster/postgres";
const EXTLOGIC_POSTGRES_DIR = "/etc/imcluster/extlogic-postgres";
const MIGRATION_DIR = "/etc/imcluster/migration";
const MIGRATION_URL_KEY = "migrationUrl";
const REDIS_DIR = "/etc/imcluster/redis";
const PUSH_KEYS_DIR = "/etc/imcluster/push-keys";
const QUEUE_REDIS_DIR = "/etc/imcluster/queue-redis";

export function internalTls(context: BuildContext, role: "entry" | "logic" | "extlogic"): Mount {
  return secretMount("internal-tls", context.names.internal[role], INTERNAL_TLS_DIR);
}

/** URL of the component's own user, or the one of an own database. */
export function postgresUrl({ cluster, names }: BuildContext, role: StoreRole): Mount {
  const reference = cluster.spec.postgres.urlSecretRef ?? { name: names.storeUser.postgres[role], key: "url" };
  return secretMount("postgres", reference.name, POSTGRES_DIR, { [reference.key]: "url" });
}

interface MigrationUrls {
  mounts: Mount[];
  env: EnvVar[];
}

/**
 * Whom the migration runs as, and for whom. In the embedded database it makes the users. In one of somebody else the URL of the role
 * that owns the tables is a key beside the runtime's that need not be there.
 */
export function migrationUrls(context: BuildContext): MigrationUrls {
  const { cluster, names } = context;
  const reference = cluster.spec.postgres.urlSecretRef;
  const [runtime, env] = [postgresUrl(context, "logic"), [POSTGRES_URL_ENV, MIGRATION_URL_ENV]];
  if (reference) {
    const items = { [MIGRATION_URL_KEY]: "url" };
    const owner = secretMount("migration", reference.name, MIGRATION_DIR, items, { optional: true });
    return { mounts: [runtime, owner], env };
  }
  return {
    mounts: [
      runtime,
      secretMount("extlogic-postgres", names.storeUser.postgres.extlogic, EXTLOGIC_POSTGRES_DIR, { url: "url" }),
      secretMount("migration", names.postgres, MIGRATION_DIR, { url: "url" }),
    ],
    env: [
      ...env,
      { name: "IM_EXTLOGIC_POSTGRES_URL_FILE", value: `${EXTLOGIC_POSTGRES_DIR}/url` },
      { name: "IM_MIGRATE_MAKES_ROLES", value: "true" },
    ],
  };
}

/** Keys that seal push tokens: logic writes tokens, extlogic reads them. */
export function pushKeys(context: BuildContext): Mount {
  const reference = context.cluster.spec.postgres.pushKeysSecretRef ?? { name: context.names.pushKeys, key: "keys" };
  return secretMount("push-keys", reference.name, PUSH_KEYS_DIR, { [reference.key]: "keys" });
}

/** URL of Redis, as the component's own user where it is the embedded one, and of the one for push intents when there is one. */
export function redisUrls({ cluster, names }: BuildContext, role: StoreRole): Mount[] {
  const { urlSecretRef, queueUrlSecretRef: queue } = cluster.spec.redis;
  const reference = urlSecretRef ?? { name: names.storeUser.redis[role], key: "url" };
  return [
    secretMount("redis", reference.name, REDIS_DIR, { [reference.key]: "url" }),
    ...(queue ? [secretMount("queue-redis", queue.name, QUEUE_REDIS_DIR, { [queue.key]: "url" })] : []),
  ];
}

export const POSTGRES_URL_ENV: EnvVar = { name: "IM_POSTGRES_URL_FILE", value: `${POSTGRES_DIR}/url` };
/** Without the file the migration runs as the user of the runtime's URL. */
const MIGRATION_URL_ENV: EnvVar = { name: "IM_MIGRATE_POSTGRES_URL_FILE", value: `${MIGRATION_DIR}/url` };
export const PUSH_KEYS_ENV: EnvVar = { name: "IM_PUSH_TOKEN_KEYS_FILE", value: `${PUSH_KEYS_DIR}/keys` };
export function redisEnv(context: BuildContext): EnvVar[] {
  const queue = { name: "IM_QUEUE_REDIS_URL_FILE", value: `${QUEUE_REDIS_DIR}/url` };
  return [
    { name: "IM_REDIS_URL_FILE", value: `${REDIS_DIR}/url` },
    ...(context.cluster.spec.redis.queueUrlSecretRef ? [queue] : []),
  ];
}
export const INTERNAL_TLS_ENV: EnvVar = { name: "IM_INTERNAL_TLS_DIR", value: INTERNAL_TLS_DIR };

/** Logic turns the wheel by it, extlogic looks for what the wheel missed by it. */
export function ackTimeoutEnv({ cluster }: BuildContext): EnvVar {
  return { name: "IM_ACK_TIMEOUT_MS", value: String(durationMs(cluster.spec.delivery.ackTimeout)) };
}

export const fromField = (fieldPath: string): EnvVar["valueFrom"] => ({ fieldRef: { fieldPath } });

/** Who the process is: the same for every component. */
export function identityEnv(context: BuildContext): EnvVar[] {
  return [
    { name: "IM_CLUSTER", value: context.cluster.metadata.name },
    { name: "IM_NAMESPACE", value: context.namespace },
    { name: "IM_POD_NAME", valueFrom: fromField("metadata.name") },
    { name: "IM_POD_UID", valueFrom: fromField("metadata.uid") },
    { name: "IM_VERSION", value: context.version },
  ];
}

/** Probes on the admin port. Startup allows 60 s; liveness gives a stuck process 30 s. */
export function adminProbes(readyPeriodSeconds: number) {
  const get = (path: string) => ({ path, port: "admin" });
  return {
    startupProbe: { httpGet: get("/livez"), periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 60 },
    readinessProbe: {
      httpGet: get("/readyz"),
      periodSeconds: readyPeriodSeconds,
      timeoutSeconds: 2,
      failureThreshold: 2,
    },
    livenessProbe: { httpGet: get("/livez"), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
  };
}
