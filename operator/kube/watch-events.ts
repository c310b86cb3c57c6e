// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage } from "node:http";
import type { Clock } from "#lib/clock.ts";
import type { WatchEvent } from "./client.ts";
import { KubeError, type KubeStatus, kubeErrorOf } from "./kube-error.ts";
import type { KubeObject } from "./types.ts";

/** Far above the largest object that etcd takes (1.5 MiB, a little more as JSON). */
const MAX_LINE_CHARS = 16 * 1024 * 1024;

/**
 * The events of a watch response. Ends when the server ends it or `signal` aborts; throws a {@link KubeError} of reason
 * `Timeout` after `inactivityMs` without a byte, `Network` when it is cut, and what an ERROR event says.
 */
export async function* readWatch<T extends KubeObject>(
  response: IncomingMessage,
  options: { clock: Clock; inactivityMs: number; signal?: AbortSignal; context: string },
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const { clock, inactivityMs, signal, context } = options;
  const silent = (): void => {
    response.destroy(new KubeError(0, "Timeout", `${context}: silent for ${inactivityMs} ms`));
  };
  const abort = (): void => void response.destroy();
  let cancelTimer = clock.after(inactivityMs, silent);
  signal?.addEventListener("abort", abort);
  const heard = (): void => {
    cancelTimer();
    cancelTimer = clock.after(inactivityMs, silent);
  };
  try {
    yield { type: "OPENED" };
    for await (const line of lines(response, heard)) yield parseEvent<T>(line, context);
  } catch (error) {
    if (signal?.aborted) return;
    if (error instanceof KubeError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new KubeError(0, "Network", `${context}: ${message}`, { cause: error });
  } finally {
    cancelTimer();
    signal?.removeEventListener("abort", abort);
    response.destroy();
  }
}

/** Whole lines; throws when the stream ends inside one. */
async function* lines(response: IncomingMessage, onChunk: () => void): AsyncGenerator<string, void, undefined> {
  response.setEncoding("utf8");
  let rest = "";
  for await (const chunk of response as AsyncIterable<string>) {
    onChunk();
    const parts = chunk.split("\n");
    parts[0] = rest + parts[0];
    rest = parts.pop() ?? "";
    if (rest.length > MAX_LINE_CHARS) throw new Error(`a line is longer than ${MAX_LINE_CHARS} characters`);
    for (const line of parts) if (line !== "") yield line;
  }
  if (rest !== "") throw new Error("the stream ended within a line");
}

/** Throws the {@link KubeError} of an ERROR event. */
export function parseEvent<T extends KubeObject>(line: string, context: string): WatchEvent<T> {
  const event = parseObject(line);
  if (!event) return { type: "INVALID", detail: `not a JSON object: ${line.slice(0, 100)}` };
  if (event.type === "ERROR") throw kubeErrorOf(500, (event.object ?? {}) as KubeStatus, context);
  const object = event.object as T | undefined;
  const resourceVersion = object?.metadata?.resourceVersion;
  if (!object || !resourceVersion) return { type: "INVALID", detail: `no object: ${line.slice(0, 100)}` };
  switch (event.type) {
    case "BOOKMARK":
      return { type: "BOOKMARK", resourceVersion };
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      if (object.metadata.name) return { type: event.type, object };
      return { type: "INVALID", detail: `no name: ${line.slice(0, 100)}` };
    default:
      return { type: "INVALID", detail: `unknown event type ${JSON.stringify(event.type)}` };
  }
}

function parseObject(line: string): { type?: unknown; object?: unknown } | undefined {
  try {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === "object" && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}
