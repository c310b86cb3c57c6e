// SPDX-License-Identifier: Apache-2.0

export const LABEL = {
  name: "app.kubernetes.io/name",
  instance: "app.kubernetes.io/instance",
  component: "app.kubernetes.io/component",
  managedBy: "app.kubernetes.io/managed-by",
  cluster: "imcluster.io/cluster",
  revision: "imcluster.io/revision",
  /** `leaving` on entry pods that are drained or fenced, absent on others. Never in the selector of a Service. */
  lifecycle: "imcluster.io/lifecycle",
} as const;

export const ANNOTATION = {
  /** On entry pods: JSON of a {@link DrainIntent}. */
  drain: "imcluster.io/drain",
  /** On entry pods, by people: "true" while it is to take no new connections, "false" to take them again. */
  cordon: "imcluster.io/cordon",
  /** On entry pods, by people and by the eviction guard: Manual, Evicted or Fence. Taking it away calls the drain off. */
  drainRequest: "imcluster.io/drain-request",
  /** On entry pods, by whoever gives each of them an address of its own: HOST[:PORT] that leads clients to this one alone. */
  address: "imcluster.io/address",
  /** RFC 3339: when the eviction guard wrote the request. */
  drainRequestedAt: "imcluster.io/drain-requested-at",
  /** On everything applied: hash of what was applied, so that a field taken out of the wanted object is noticed. */
  appliedHash: "imcluster.io/applied-hash",
  /** On entry pods: fingerprint of the client certificate; changing it makes the kubelet refresh the volume at once. */
  tlsFingerprint: "imcluster.io/tls-fingerprint",
  /** On an ImCluster, "true": the same as spec.paused, for those who may not change the spec. */
  paused: "imcluster.io/paused",
  /** On an ImCluster, "true": purge although a large part of the fleet died within a minute. */
  forcePurge: "imcluster.io/force-purge",
  /** On an ImCluster: the revision of entries to which it may be updated. */
  approveUpdate: "imcluster.io/approve-update",
  /** On pod templates: hash of Secrets and settings that need a restart. */
  configHash: "imcluster.io/config-hash",
} as const;

/** Value of the lifecycle label. */
export const LEAVING = "leaving";

export const FINALIZER = { cluster: "imcluster.io/cleanup", entry: "imcluster.io/purge" } as const;

export const MANAGED_BY = "im-operator";

export const COMPONENTS = ["entry", "logic", "extlogic", "postgres", "redis", "migrate"] as const;
export type Component = (typeof COMPONENTS)[number];
/** Components that hold a certificate of the internal CA. */
export const ROLES = ["entry", "logic", "extlogic"] as const;
export type PodRole = (typeof ROLES)[number];
/** Components that use PostgreSQL and Redis all the time, each as a user of its own. */
export const STORE_ROLES = ["logic", "extlogic"] as const;
export type StoreRole = (typeof STORE_ROLES)[number];
/** Their users in the embedded servers. */
export const STORE_USER: Readonly<Record<StoreRole, string>> = {
  logic: "imcluster_logic",
  extlogic: "imcluster_extlogic",
};

export const PORT = {
  tls: 8443,
  http: 8080,
  entryControl: 9443,
  logicGrpc: 7443,
  admin: 9090,
  api: 8090,
  apiGrpc: 8091,
  postgres: 5432,
  redis: 6379,
} as const;

/** Names of the objects of an ImCluster. */
export interface Names {
  entry: string;
  logic: string;
  /** Service of the API for the shop's backends. */
  api: string;
  extlogic: string;
  postgres: string;
  redis: string;
  /** Secrets of the users of the embedded servers. */
  storeUser: Record<"postgres" | "redis", Record<StoreRole, string>>;
  internalCa: string;
  internal: Record<PodRole, string>;
  tls: string;
  tlsCa: string;
  auth: string;
  pushKeys: string;
  /** ConfigMap. */
  logLevels: string;
  /** Job of one version, image and database. */
  migrate(hash: string): string;
}

export function namesOf(cluster: string): Names {
  return {
    entry: `${cluster}-entry`,
    logic: `${cluster}-logic`,
    api: `${cluster}-api`,
    extlogic: `${cluster}-extlogic`,
    postgres: `${cluster}-postgres`,
    redis: `${cluster}-redis`,
    storeUser: {
      postgres: { logic: `${cluster}-postgres-logic`, extlogic: `${cluster}-postgres-extlogic` },
      redis: { logic: `${cluster}-redis-logic`, extlogic: `${cluster}-redis-extlogic` },
    },
    internalCa: `${cluster}-internal-ca`,
    internal: {
      entry: `${cluster}-internal-entry`,
      logic: `${cluster}-internal-logic`,
      extlogic: `${cluster}-internal-extlogic`,
    },
    tls: `${cluster}-tls`,
    tlsCa: `${cluster}-tls-ca`,
    auth: `${cluster}-auth`,
    pushKeys: `${cluster}-push-keys`,
    logLevels: `${cluster}-log-levels`,
    migrate: (hash) => `${cluster}-migrate-${hash}`,
  };
}

/** Labels by which the pods of a component are found: never change them, they are in immutable selectors. */
export function selectorLabels(cluster: string, component: Component): Record<string, string> {
  return { [LABEL.cluster]: cluster, [LABEL.component]: component };
}

/** Selects entry pods that are not on their way out: those that a HorizontalPodAutoscaler should measure. */
export function entrySelector(cluster: string): string {
  const { [LABEL.cluster]: name, [LABEL.component]: component } = selectorLabels(cluster, "entry");
  return `${LABEL.cluster}=${name},${LABEL.component}=${component},${LABEL.lifecycle} notin (${LEAVING})`;
}

/** All labels of an owned object. */
export function labelsOf(cluster: string, component: Component): Record<string, string> {
  return {
    [LABEL.name]: "imcluster",
    [LABEL.instance]: cluster,
    [LABEL.managedBy]: MANAGED_BY,
    ...selectorLabels(cluster, component),
  };
}
