// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { KubeClient } from "./client.ts";
import type { KubeObject } from "./types.ts";

export interface EventInput {
  type: "Normal" | "Warning";
  /** CamelCase, for machines: `EntryDrained`. */
  reason: string;
  /** One sentence for people; longer than 1,024 characters is cut. */
  message: string;
  /** What the operator did. Default: the reason. */
  action?: string;
}

export interface EventRecorderOptions {
  client: KubeClient;
  log: Logger;
  clock?: Clock;
  /** Default `im-operator`. */
  controller?: string;
  /** Pod name. */
  instance: string;
}

/** Writes Events behind the caller's back: never blocks, never throws; faults are logged. */
export interface EventSink {
  /** `object` must have `apiVersion` and `kind`. */
  record(object: KubeObject, event: EventInput): void;
}
// class EventRecorder implements EventSink { constructor(options: EventRecorderOptions); close(): Promise<void> /* writes what waits, bounded */ }
