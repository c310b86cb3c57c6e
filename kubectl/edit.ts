// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from "../operator/kube/types.ts";

const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

type Json = Record<string, unknown>;

/**
 * What `kubectl apply` would send for the spec: the file's values, and null for fields that an earlier apply set and this file
 * leaves out. Lists are replaced whole, as they are for custom resources. Pure.
 */
export function specPatch(live: KubeObject, file: KubeObject): Json {
  const applied = parsed(live.metadata.annotations?.[LAST_APPLIED]);
  return mergePatch(recordOf(applied.spec), recordOf((file as KubeObject & { spec?: unknown }).spec));
}

function mergePatch(applied: Json, wanted: Json): Json {
  const removed = Object.keys(applied).filter((key) => !(key in wanted));
  const entries = Object.entries(wanted).map(([key, value]) => [
    key,
    isRecord(value) ? mergePatch(recordOf(applied[key]), value) : value,
  ]);
  return Object.fromEntries([...removed.map((key) => [key, null]), ...entries]) as Json;
}

/** A field whose value differs; `undefined` where there is none. */
export interface FieldChange {
  path: string;
  from: unknown;
  to: unknown;
}

/** Leaves that differ, by path, in the order in which they stand. Lists are leaves. Pure. */
export function fieldChanges(from: unknown, to: unknown, path: string): FieldChange[] {
  if (!isRecord(from) || !isRecord(to)) return JSON.stringify(from) === JSON.stringify(to) ? [] : [{ path, from, to }];
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return keys.flatMap((key) => fieldChanges(from[key], to[key], `${path}.${key}`));
}

function parsed(text: string | undefined): Json {
  if (text === undefined) return {};
  try {
    return recordOf(JSON.parse(text));
  } catch {
    // Somebody else's annotation: nothing is known of earlier applies.
    return {};
  }
}

function isRecord(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function recordOf(value: unknown): Json {
  return isRecord(value) ? value : {};
}
