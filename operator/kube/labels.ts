// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from "./types.ts";

/** Does the object carry every one of `labels`? */
export function matchesLabels(object: KubeObject, labels: Readonly<Record<string, string>>): boolean {
  const own = object.metadata.labels ?? {};
  return Object.entries(labels).every(([key, value]) => own[key] === value);
}

/** A label selector for list and watch; the keys are sorted, so equal sets give equal text. */
export function formatLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
}
