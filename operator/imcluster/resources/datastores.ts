// SPDX-License-Identifier: Apache-2.0

import { ErrorCode, ImError } from "#lib/errors.ts";
import type { PersistentVolumeClaim, StatefulSet } from "../../kube/types.ts";
import { hashOf } from "../hash.ts";
import { ANNOTATION, labelsOf, PORT, STORE_ROLES, selectorLabels } from "../names.ts";
import { quantity } from "../units.ts";
import { type BuildContext, owned, perContext } from "./context.ts";
import { DATASTORE_UID, emptyDirMount, type Mount, type PodParts, podSpec } from "./pod-parts.ts";
import { redisUserArgs, redisUserEnv } from "./redis-users.ts";

const DEFAULT_STORAGE = "5Gi";
const DEFAULT_REDIS_MEMORY = "128Mi";
/** Above the default of the official image: 18 and later refuse a volume mounted at the former /var/lib/postgresql/data. */
const POSTGRES_HOME = "/var/lib/postgresql";

const secretValue = (name: string, key: string) => ({ secretKeyRef: { name, key } });

/** Both accept TCP only once they serve, so the probe needs no client program in the image. */
function probes(port: number) {
  const tcpSocket = { port };
  return { readinessProbe: { tcpSocket, periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 3 } };
}

function single(
  context: BuildContext,
  component: "postgres" | "redis",
  parts: Omit<PodParts, "component" | "uid">,
  configHash: string,
): StatefulSet {
  const cluster = context.cluster.metadata.name;
  return owned(context, component, {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: context.names[component] },
    spec: {
      replicas: 1,
      serviceName: context.names[component],
      selector: { matchLabels: selectorLabels(cluster, component) },
      template: {
        metadata: {
          labels: labelsOf(cluster, component),
          annotations: { [ANNOTATION.configHash]: hashOf(configHash) },
        },
        spec: podSpec(context, { component, uid: DATASTORE_UID, ...parts }),
      },
    },
  });
}

/** One PostgreSQL for trying out. A StatefulSet, because it never runs two pods on one volume. */
export const postgresStatefulSet = perContext((context: BuildContext): StatefulSet => {
  const { names } = context;
  const data: Mount =
    context.storage.kind === "volume"
      ? { volume: { name: "data", persistentVolumeClaim: { claimName: names.postgres } }, path: POSTGRES_HOME }
      : emptyDirMount("data", POSTGRES_HOME);
  return single(
    context,
    "postgres",
    {
      terminationGracePeriodSeconds: 60,
      mounts: [data, emptyDirMount("run", "/var/run/postgresql")],
      container: {
        name: "postgres",
        image: context.config.postgresImage,
        env: [
          { name: "POSTGRES_USER", valueFrom: secretValue(names.postgres, "username") },
          { name: "POSTGRES_PASSWORD", valueFrom: secretValue(names.postgres, "password") },
          { name: "POSTGRES_DB", valueFrom: secretValue(names.postgres, "database") },
          { name: "PGDATA", value: `${POSTGRES_HOME}/pgdata` },
        ],
        ports: [{ name: "postgres", containerPort: PORT.postgres }],
        ...probes(PORT.postgres),
      },
    },
    context.hashes.postgres,
  );
});

/** Volume of the embedded PostgreSQL; goes with the ImCluster. @throws ImError INTERNAL when the storage is no volume */
export const postgresClaim = perContext((context: BuildContext): PersistentVolumeClaim => {
  const { storage } = context;
  if (storage.kind !== "volume") throw new ImError(ErrorCode.INTERNAL, "PostgreSQL has no volume here");
  return owned(context, "postgres", {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: context.names.postgres },
    spec: {
      accessModes: ["ReadWriteOnce"],
      ...(storage.storageClassName ? { storageClassName: storage.storageClassName } : {}),
      resources: { requests: { storage: context.cluster.spec.postgres.embedded?.storageSize ?? DEFAULT_STORAGE } },
    },
  });
});

/** One Redis for trying out, in memory only: an old dump would bring dead routes back. */
export const redisStatefulSet = perContext((context: BuildContext): StatefulSet => {
  const maxMemory = quantity(context.cluster.spec.redis.embedded?.maxMemory ?? DEFAULT_REDIS_MEMORY);
  return single(
    context,
    "redis",
    {
      terminationGracePeriodSeconds: 10,
      mounts: [emptyDirMount("data", "/data")],
      container: {
        name: "redis",
        image: context.config.redisImage,
        args: [
          ...["--requirepass", "$(REDIS_PASSWORD)"],
          ...["--save", ""],
          ...["--appendonly", "no"],
          ...["--maxmemory", String(Math.floor(maxMemory))],
          ...["--maxmemory-policy", "noeviction"],
          ...STORE_ROLES.flatMap(redisUserArgs),
        ],
        env: [
          { name: "REDIS_PASSWORD", valueFrom: secretValue(context.names.redis, "password") },
          ...STORE_ROLES.map((role) => ({
            name: redisUserEnv(role),
            valueFrom: secretValue(context.names.storeUser.redis[role], "passwordHash"),
          })),
        ],
        ports: [{ name: "redis", containerPort: PORT.redis }],
        ...probes(PORT.redis),
      },
    },
    context.hashes.redis,
  );
});
