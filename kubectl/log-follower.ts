// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { sleep } from "#lib/sleep.ts";
import { KubeError } from "../operator/kube/kube-error.ts";
import type { Pod } from "../operator/kube/types.ts";
import type { Access } from "./access.ts";
import { type LogLine, parseLine } from "./log-lines.ts";
import type { LogRange, LogSource } from "./pod-logs.ts";

/** Lines of containers that run at the same time come late by as much; within it they are put in order. */
const REORDER_MS = 300;
/** How often it looks for new pods, and for containers whose stream has ended. */
const LOOK_AGAIN_MS = 2_000;
/** Of a stream that is taken up again: what came before is known by its time. */
const OVERLAP_SECONDS = 30;
const MAX_CONTAINERS = 100;
const MAX_WAITING_LINES = 5_000;

/** What a {@link LogFollower} works with. */
export interface FollowerPorts {
  access: Access;
  clock: Clock;
  signal: AbortSignal;
  /** Pods as they are now. */
  look: () => Promise<Pod[]>;
  /** Lines of about the same time, in any order. */
  print: (lines: LogLine[]) => void;
  onProblem: (text: string) => void;
}

/** Follows every container of pods that are there, and of those that come, until the signal aborts. */
export class LogFollower {
  readonly #ports: FollowerPorts;
  readonly #open = new Set<string>();
  /** By container: time of the last line. */
  readonly #seen = new Map<string, string>();
  readonly #reading = new Set<Promise<void>>();
  #waiting: LogLine[] = [];

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
  }

  /** @throws KubeError when the pods may not be listed */
  async run(pods: readonly Pod[], range: LogRange): Promise<void> {
    const { signal, clock } = this.#ports;
    this.#follow(pods, range);
    let lookAtMs = clock.nowMs() + LOOK_AGAIN_MS;
    while (!signal.aborted) {
      await sleep(this.#ports.clock, REORDER_MS, this.#ports.signal);
      this.#flush();
      if (signal.aborted || clock.nowMs() < lookAtMs) continue;
      this.#follow(await this.#look(), {});
      lookAtMs = clock.nowMs() + LOOK_AGAIN_MS;
    }
    await Promise.all(this.#reading);
    this.#flush();
  }

  /** An API server that is away for a moment does not end it. */
  async #look(): Promise<Pod[]> {
    try {
      return await this.#ports.look();
    } catch (error) {
      if (error instanceof KubeError && error.retryable) return [];
      throw error;
    }
  }

  /** @param range of containers that were never read; new ones of later are read from their start */
  #follow(pods: readonly Pod[], range: LogRange): void {
    for (const { metadata, status } of pods) {
      for (const { name, state } of status?.containerStatuses ?? []) {
        const key = `${metadata.uid}/${name}`;
        const isOver = state?.terminated !== undefined && this.#seen.has(key);
        // One that waits has no log yet.
        if (isOver || state?.waiting || this.#open.has(key) || this.#open.size >= MAX_CONTAINERS) continue;
        this.#open.add(key);
        const known = this.#seen.has(key) ? { sinceSeconds: OVERLAP_SECONDS } : range;
        const reading = this.#read({ pod: metadata.name, container: name }, key, known);
        this.#reading.add(reading);
        void reading.finally(() => this.#reading.delete(reading));
      }
    }
  }

  async #read({ pod, container }: LogSource, key: string, range: LogRange): Promise<void> {
    const { access, signal, onProblem } = this.#ports;
    const from = this.#seen.get(key) ?? "";
    try {
      const options = { container, ...range, follow: true, ...access.call };
      for await (const text of access.pods.logLines(access.namespace, pod, options)) {
        const line = parseLine(pod, container, text);
        if (line.time !== "" && line.time <= from) continue;
        this.#waiting.push(line);
        this.#seen.set(key, line.time);
        if (this.#waiting.length >= MAX_WAITING_LINES) this.#flush();
      }
    } catch (error) {
      if (!signal.aborted) onProblem(`${pod}: ${error instanceof Error ? error.message : error}`);
    } finally {
      if (!this.#seen.has(key)) this.#seen.set(key, "");
      this.#open.delete(key);
    }
  }

  #flush(): void {
    const lines = this.#waiting;
    this.#waiting = [];
    if (lines.length > 0) this.#ports.print(lines);
  }
}
