// SPDX-License-Identifier: Apache-2.0
import type { DataPlaneStatus, ImCluster } from "../api/v1alpha1.ts";
import { isControlledBy } from "../kube/owner.ts";
import type { KubeObject, Pod, Resource } from "../kube/types.ts";
import type { ScalingDecision } from "./autoscaling.ts";
import type { ObservedEntry } from "./observed.ts";
import type { BuildContext } from "./resources/context.ts";
import type { RoutesSeen } from "./route-audit.ts";
import type { ConfigMaps, Secrets } from "./secrets.ts";

/** Objects that carry the labels of one ImCluster, read once. */
export class OwnedObjects {
  readonly #objects = new Map<string, KubeObject>();

  add<T extends KubeObject>(resource: Resource<T>, objects: readonly T[]): this {
    for (const object of objects) this.#objects.set(`${resource.plural}/${object.metadata.name}`, object);
    return this;
  }

  get<T extends KubeObject>(resource: Resource<T>, name: string): T | undefined {
    return this.#objects.get(`${resource.plural}/${name}`) as T | undefined;
  }

  list<T extends KubeObject>(resource: Resource<T>): T[] {
    const prefix = `${resource.plural}/`;
    return [...this.#objects].filter(([key]) => key.startsWith(prefix)).map(([, object]) => object as T);
  }

  /** Names of objects that another owner controls, for example a deleted ImCluster of the same name. */
  foreign(ownerUid: string): string[] {
    const isForeign = (object: KubeObject) =>
      object.metadata.ownerReferences?.some(({ controller }) => controller) && !isControlledBy(object, ownerUid);
    return [...this.#objects].filter(([, object]) => isForeign(object)).map(([key]) => key);
  }
}

/** Everything a plan and a status are made from: read once, then only looked at. */
export interface ObservedCluster {
  cluster: ImCluster;
  context: BuildContext;
  secrets: Secrets;
  configMaps: ConfigMaps;
  objects: OwnedObjects;
  entries: readonly ObservedEntry[];
  /** What autoscaling decided; `undefined` when it is off. */
  scaling?: ScalingDecision | undefined;
  /** What the last audit of the router found; `undefined` before the first. */
  routes?: RoutesSeen | undefined;
  /** What drains showed of the network; `undefined` before the first. */
  dataPlane?: DataPlaneStatus | undefined;
  /** Ready ones, with an address. */
  logicPods: readonly Pod[];
  /** Of the entry Service. */
  addresses: readonly string[];
  /** A load balancer was asked for only just now: its address is worth waiting for. */
  awaitsAddress: boolean;
  /** Objects in our way that belong to somebody else. */
  foreign: readonly string[];
  /** No entry is made before this (wall clock ms), because they failed again and again. */
  createNotBeforeMs: number;
  crashes: number;
  /** What all drains together may ask at present; undefined before the first drain. */
  reconnectsPerSecond: number | undefined;
  nowMs: number;
}
