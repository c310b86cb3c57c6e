// SPDX-License-Identifier: Apache-2.0
import { IM_CLUSTER } from "../../api/resource.ts";
import type { ImCluster } from "../../api/v1alpha1.ts";
import { controllerReference } from "../../kube/owner.ts";
import type { KubeObject } from "../../kube/types.ts";
import { hashOf } from "../hash.ts";
import { ANNOTATION, type Component, labelsOf, type Names, namesOf, type StoreRole } from "../names.ts";

/** Images and settings of the operator process that builders need. */
export interface OperandConfig {
  operandImage: string;
  postgresImage: string;
  redisImage: string;
  /** Version of the operator: the operands' version where the spec names none. */
  operatorVersion: string;
  /** Suffix of Service names; `cluster.local` nearly everywhere. */
  clusterDomain: string;
  /** Where the operator runs: from there it calls entries and logic. */
  operatorNamespace: string;
}

/** Short hashes of Secret contents, so that pods roll when they change; empty while unknown. */
export interface ContentHashes {
  internal: Record<"entry" | "logic" | "extlogic", string>;
  /** Of the URL by which the database is migrated, or the one of an own database. */
  postgres: string;
  /** Of everything that the embedded Redis is started with, or of the URL of an own one. */
  redis: string;
  /** Of the URLs that the component reads. */
  users: Record<StoreRole, Record<"postgres" | "redis", string>>;
  tokenKeys: string;
  /** Of the keys that seal push tokens. */
  pushKeys: string;
  webhook: string;
  /** Of the secret that signs what the backend of pressed buttons is told. */
  cardActions: string;
  /** Of the headers that go to the collector of traces. */
  tracing: string;
  /** Keys of all push providers. */
  push: string;
}

export type PostgresStorage =
  | { kind: "external" }
  /** Without a class name: the cluster's default class. */
  | { kind: "volume"; storageClassName: string | undefined }
  | { kind: "pod" };

/** Everything the builders know. They are pure: the same context gives the same objects. */
export interface BuildContext {
  cluster: ImCluster;
  config: OperandConfig;
  hashes: ContentHashes;
  storage: PostgresStorage;
  names: Names;
  namespace: string;
  image: string;
  version: string;
}

export function buildContext(
  cluster: ImCluster,
  config: OperandConfig,
  hashes: ContentHashes,
  storage: PostgresStorage,
): BuildContext {
  return {
    cluster,
    config,
    hashes,
    storage,
    names: namesOf(cluster.metadata.name),
    namespace: cluster.metadata.namespace ?? "default",
    image: imageOf(cluster, config.operandImage),
    version: cluster.spec.version ?? config.operatorVersion,
  };
}

type Key = string | number | undefined;

/**
 * A builder that builds once for each context and further arguments: contexts never change, and a pass asks for the same object
 * several times. What it returns is shared: do not change it.
 */
export function perContext<T, Rest extends readonly Key[]>(
  build: (context: BuildContext, ...rest: Rest) => T,
): (context: BuildContext, ...rest: Rest) => T {
  const built = new WeakMap<BuildContext, Map<string, { value: T }>>();
  return (context, ...rest) => {
    const ofContext = built.get(context) ?? new Map<string, { value: T }>();
    built.set(context, ofContext);
    const key = rest.join();
    const known = ofContext.get(key) ?? { value: build(context, ...rest) };
    ofContext.set(key, known);
    return known.value;
  };
}

const VERSION_TAG = /^(.*[^/]):v?(\d+\.\d+\.\d+[-+0-9A-Za-z.]*)$/;

/** `spec.image`; else the operand image, its tag replaced by `spec.version` where the tag is a version itself. */
function imageOf(cluster: ImCluster, operandImage: string): string {
  const { image, version } = cluster.spec;
  if (image) return image;
  const tagged = VERSION_TAG.exec(operandImage);
  return version && tagged ? `${tagged[1]}:${version}` : operandImage;
}

/** Adds namespace, labels, owner and the hash of what is applied. */
export function owned<T extends KubeObject>(context: BuildContext, component: Component, object: T): T {
  const { cluster, namespace } = context;
  const withOwner: T = {
    ...object,
    metadata: {
      ...object.metadata,
      namespace,
      labels: { ...object.metadata.labels, ...labelsOf(cluster.metadata.name, component) },
      ownerReferences: [controllerReference(IM_CLUSTER, cluster)],
    },
  };
  const annotations = { ...object.metadata.annotations, [ANNOTATION.appliedHash]: hashOf(withOwner) };
  return { ...withOwner, metadata: { ...withOwner.metadata, annotations } };
}

/** Host name of a Service that resolves without search domains, too. */
export function serviceHost(context: BuildContext, service: string): string {
  return `${service}.${context.namespace}.svc.${context.config.clusterDomain}`;
}
