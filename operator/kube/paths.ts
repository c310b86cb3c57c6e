// SPDX-License-Identifier: Apache-2.0
import type { Resource } from "./types.ts";

/** Path of all objects of a kind, in a namespace or, without one, in all. */
export function collectionPath(resource: Resource, namespace: string | undefined): string {
  const root = resource.apiVersion.includes("/") ? `/apis/${resource.apiVersion}` : `/api/${resource.apiVersion}`;
  const scope = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${root}${scope}/${resource.plural}`;
}

/**
 * Path of one object. Throws TypeError without a name, or without the namespace that the kind needs: such a path would
 * name the whole collection, and a DELETE of it everything in there.
 */
export function objectPath(
  resource: Resource,
  namespace: string | undefined,
  name: string,
  subresource?: string,
): string {
  if (!name) throw new TypeError(`a ${resource.kind} needs a name`);
  if (resource.namespaced && !namespace) throw new TypeError(`${resource.kind} ${name} needs a namespace`);
  const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
  return subresource ? `${path}/${subresource}` : path;
}

/** Appends the parameters that are set. */
export function withQuery(path: string, query: Record<string, string | number | boolean | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") parameters.set(key, String(value));
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}
