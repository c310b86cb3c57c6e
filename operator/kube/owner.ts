// SPDX-License-Identifier: Apache-2.0
import type { KubeObject, OwnerReference, Resource } from "./types.ts";

/** The reference that makes `owner` the controller of an object. The owner must come from the server (it needs a UID). */
export function controllerReference(resource: Resource, owner: KubeObject): OwnerReference {
  const { name, uid } = owner.metadata;
  if (!uid) throw new TypeError(`${resource.kind} ${name} has no uid, so it cannot own anything`);
  const { apiVersion, kind } = resource;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** The one reference with `controller: true`. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

/** By UID: an owner that was deleted and made again under the same name is another owner. */
export function isControlledBy(object: KubeObject, ownerUid: string): boolean {
  return controllerOf(object)?.uid === ownerUid;
}

/** An object that carries our labels, but has no controller: it may be adopted. */
export function isOrphan(object: KubeObject): boolean {
  return controllerOf(object) === undefined;
}

export function isBeingDeleted(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}

export function hasFinalizer(object: KubeObject, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) ?? false;
}

/** `<namespace>/<name>`, or only the name of a cluster-scoped object: key of work queues and caches. */
export function keyOf(object: KubeObject): string {
  return objectKey(object.metadata.namespace, object.metadata.name);
}

export function objectKey(namespace: string | undefined, name: string): string {
  return namespace ? `${namespace}/${name}` : name;
}

/** Reverse of {@link objectKey}. */
export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf("/");
  if (slash < 0) return { namespace: undefined, name: key };
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
