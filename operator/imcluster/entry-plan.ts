// SPDX-License-Identifier: Apache-2.0
import type { DrainIntent, DrainLimits } from "./drain.ts";
import type { ObservedEntry } from "./observed.ts";

export type UpdateStrategy = "BlueGreen" | "Batched" | "OnDelete";

export interface UpdateLimits {
  strategy: UpdateStrategy;
  /** Pods of one batch, at least 1. */
  batch: number;
  /** Connections that one entry accepts. */
  maxConnectionsPerPod: number;
}

/** How far a rollout may go now. */
export type UpdateStage =
  | { kind: "open" }
  /** So many pods of the new revision beside all the old ones. */
  | { kind: "canary"; entries: number }
  /** Not on, not back. */
  | { kind: "hold" }
  /** The pods of the new revision leave again. */
  | { kind: "abort" };

export interface EntryPlanInput {
  replicas: number;
  /** Is a pod of this name to be cut off at once? Default: none is. */
  isFenced?(name: string): boolean;
  /** Wanted revision. */
  revision: string;
  /** How entries of another revision are replaced, and how far that may go now. */
  update: UpdateLimits;
  stage: UpdateStage;
  entries: readonly ObservedEntry[];
  /** Why no pod can be made now, if so. */
  createBlocked: string | undefined;
  /** After failures: no pod is made before this (wall clock ms). */
  createNotBeforeMs: number;
  drain: DrainLimits;
  hasLogic: boolean;
  nowMs: number;
}

type OnEntry = { entry: ObservedEntry; reason: string };

/** Each names the one write or call to make; `reason` is for logs, events and the status. */
export type EntryAction =
  /** Of the wanted revision, or made as another pod was. */
  | { kind: "createEntry"; like?: ObservedEntry; reason: string }
  | ({ kind: "adopt" } & OnEntry)
  | ({ kind: "setDrain"; intent: DrainIntent } & OnEntry)
  | ({ kind: "abortDrain"; intent: DrainIntent } & OnEntry)
  | ({ kind: "cordon" | "drain" | "force" | "purge" | "verify"; intent: DrainIntent } & OnEntry)
  | ({ kind: "release"; intent: DrainIntent } & OnEntry)
  | ({ kind: "deletePod" } & OnEntry)
  | ({ kind: "setCordoned"; isCordoned: boolean } & OnEntry)
  | { kind: "wait"; reason: string; afterMs: number };
