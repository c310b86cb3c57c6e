// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { ImCluster } from "../../api/v1alpha1.ts";
import type { KubeObject, Pod, Secret } from "../../kube/types.ts";
import { FINALIZER } from "../names.ts";
import { type ObservedCluster, OwnedObjects } from "../observed-cluster.ts";
import { type BuildContext, buildContext, type OperandConfig, type PostgresStorage } from "../resources/context.ts";
import { makeSecret } from "../secret-content.ts";
import { contentHashes, neededSecrets } from "../secrets.ts";

interface Schema {
  properties?: Record<string, Schema>;
  default?: unknown;
}

const text = readFileSync(new URL("../../../crds/imcluster.yaml", import.meta.url), "utf8");
const crd = parse(text) as { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } };
const SPEC = crd.spec.versions[0]?.schema.openAPIV3Schema.properties?.spec ?? {};

/** What the API server does with defaults of a structural schema. */
function withDefaults(schema: Schema, value: unknown): unknown {
  const given = value === undefined ? structuredClone(schema.default) : value;
  if (!schema.properties || given === null || typeof given !== "object") return given;
  const filled: Record<string, unknown> = { ...given };
  for (const [name, child] of Object.entries(schema.properties)) {
    const field = withDefaults(child, filled[name]);
    if (field !== undefined) filled[name] = field;
  }
  return filled;
}

export const NOW_MS = Date.parse("2026-11-24T10:00:00Z");

/** An ImCluster as the API server would hand it out. */
export function sampleCluster(spec: object = {}, name = "demo"): ImCluster {
  return {
    apiVersion: "imcluster.io/v1alpha1",
    kind: "ImCluster",
    metadata: {
      ...{ name, namespace: "shop", uid: "cluster-uid", generation: 1 },
      creationTimestamp: new Date(NOW_MS).toISOString(),
      finalizers: [FINALIZER.cluster],
    },
    spec: withDefaults(SPEC, spec) as ImCluster["spec"],
  };
}

export const OPERANDS: OperandConfig = {
  operandImage: "registry.example/imcluster:0.1.0",
  postgresImage: "registry.example/postgres:18",
  redisImage: "registry.example/redis:7",
  operatorVersion: "0.1.0",
  clusterDomain: "cluster.local",
  operatorNamespace: "imcluster-system",
};

/** All generated Secrets. Keys are random: make them once a test file. */
export function sampleSecrets(cluster: ImCluster, addresses: string[] = ["192.0.2.1"]): Map<string, Secret> {
  const secrets = new Map<string, Secret>();
  const situation = { addresses, awaitsAddress: false, nowMs: NOW_MS };
  for (let needs = neededSecrets(cluster, secrets, situation); needs.length > 0; ) {
    for (const need of needs) {
      const made = makeSecret(need, { cluster, secrets, addresses, clusterDomain: "cluster.local", nowMs: NOW_MS });
      secrets.set(need.name, { ...made, metadata: { ...made.metadata, uid: `uid-${need.name}` } });
    }
    needs = neededSecrets(cluster, secrets, situation);
  }
  return secrets;
}

export function sampleContext(
  cluster: ImCluster = sampleCluster(),
  secrets: ReadonlyMap<string, Secret> = new Map(),
  storage: PostgresStorage = { kind: "pod" },
): BuildContext {
  return buildContext(cluster, OPERANDS, contentHashes(cluster, secrets), storage);
}

export function sampleObserved(cluster: ImCluster, secrets: ReadonlyMap<string, Secret>): ObservedCluster {
  return {
    ...{ cluster, secrets, configMaps: new Map(), context: sampleContext(cluster, secrets) },
    ...{ objects: new OwnedObjects(), entries: [], logicPods: [], foreign: [] },
    ...{ addresses: ["192.0.2.1"], awaitsAddress: false },
    ...{ createNotBeforeMs: 0, crashes: 0, reconnectsPerSecond: undefined, nowMs: NOW_MS },
  };
}

/** As if the server had taken it: with UID and generation. */
export function stored<T extends KubeObject>(object: T): T {
  const uid = `uid-${object.metadata.name}`;
  const creationTimestamp = new Date(NOW_MS).toISOString();
  return { ...object, metadata: { ...object.metadata, uid, generation: 1, creationTimestamp } };
}

export function readyPod(pod: Pod, isReady = true): Pod {
  const state = { running: {} };
  return {
    ...pod,
    spec: { ...pod.spec, nodeName: "n1" },
    status: {
      ...{ phase: "Running", podIP: "10.0.0.1" },
      conditions: [{ type: "Ready", status: isReady ? "True" : "False" }],
      containerStatuses: [{ name: "entry", ready: isReady, restartCount: 0, state }],
    },
  };
}
