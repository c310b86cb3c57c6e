// SPDX-License-Identifier: Apache-2.0
import { KubeError } from "../operator/kube/kube-error.ts";
import type { Pod } from "../operator/kube/types.ts";
import type { Access } from "./access.ts";
import { type LogLine, parseLine } from "./log-lines.ts";

/** One container of a pod. */
export interface LogSource {
  pod: string;
  container: string;
}

/** Which part of a log. */
export interface LogRange {
  sinceSeconds?: number | undefined;
  tailLines?: number | undefined;
}

/** Options of {@link readLog}. */
export interface ReadOptions extends LogRange {
  limitBytes: number;
  /** Default: that of the access. */
  namespace?: string;
  /** The container before its last restart. */
  previous?: boolean;
}

/** What was read, and what kept the rest from being read. */
export interface ReadLog extends LogSource {
  lines: LogLine[];
  problem?: string;
}

export function containersOf(pods: readonly Pod[]): LogSource[] {
  return pods.flatMap(({ metadata, spec }) =>
    spec.containers.map(({ name }) => ({ pod: metadata.name, container: name })),
  );
}

/** What there is now, up to `limitBytes`. A container that cannot be read is a sentence: the others are worth having. */
export async function readLog(
  access: Access,
  source: LogSource,
  { limitBytes, namespace = access.namespace, ...range }: ReadOptions,
): Promise<ReadLog> {
  const { pod, container } = source;
  const lines: LogLine[] = [];
  let bytes = 0;
  try {
    const options = { container, ...range, limitBytes, ...access.call };
    for await (const line of access.pods.logLines(namespace, pod, options)) {
      lines.push(parseLine(pod, container, line));
      bytes += Buffer.byteLength(line) + 1;
    }
    if (bytes < limitBytes) return { ...source, lines };
    return { ...source, lines, problem: `${pod}: cut after ${limitBytes} bytes; ask for less by --since or --tail` };
  } catch (error) {
    return { ...source, lines, problem: problemOf(error, pod) };
  }
}

/** @throws what is no fault of one pod: no right, Ctrl-C */
function problemOf(error: unknown, pod: string): string {
  if (!(error instanceof KubeError)) throw error;
  if (error.status === 401 || error.status === 403 || error.reason === "Aborted") throw error;
  return `${pod}: ${error.message}`;
}
