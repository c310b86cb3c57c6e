// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage } from "node:http";
import type { KubeConfig } from "@kubernetes/client-node";
import { type RawData, WebSocket } from "ws";
import { Connection } from "./connection.ts";
import { KubeError, type KubeStatus, kubeErrorOf } from "./kube-error.ts";
import { objectPath, withQuery } from "./paths.ts";
import { PODS } from "./types.ts";

/** Options of {@link PodAccess.logLines}. */
export interface LogOptions {
  container: string;
  /** Only lines of the last so many seconds. */
  sinceSeconds?: number | undefined;
  /** Only the last so many lines. */
  tailLines?: number | undefined;
  /** Most bytes; the server cuts behind them. Not together with `follow`. */
  limitBytes?: number | undefined;
  /** Go on with what comes, until `signal` aborts or the container ends. */
  follow?: boolean;
  /** The container before the last restart. */
  previous?: boolean;
  /** Time to the first byte. */
  deadlineMs: number;
  signal?: AbortSignal | undefined;
}

/** Options of {@link PodAccess.exec}. */
export interface ExecOptions {
  container: string;
  command: readonly string[];
  /** For all of it. */
  deadlineMs: number;
  signal?: AbortSignal | undefined;
}

export interface ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** What a container prints, and programs in it. Every fault is a `KubeError`. */
export interface PodAccess {
  /** Lines without their ends, each behind the time at which it was written (RFC 3339, nanoseconds) and a space. */
  logLines(namespace: string, pod: string, options: LogOptions): AsyncGenerator<string, void, undefined>;
  /** Runs a program without input. A program that fails is a value; one that says more than 4 MiB a fault. */
  exec(namespace: string, pod: string, options: ExecOptions): Promise<ExecResult>;
  close(): void;
}

/** A line longer than this is cut into several. */
const MAX_LINE_CHARS = 256 * 1024;
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** Every API server and kubelet speaks it, and the kubelet's answer passes through unchanged. */
const EXEC_PROTOCOL = "v4.channel.k8s.io";
const CHANNEL = { stdout: 1, stderr: 2, status: 3 } as const;

export function createPodAccess(kubeConfig: KubeConfig, userAgent: string): PodAccess {
  const connection = new Connection({ kubeConfig, userAgent });
  return {
    logLines: (namespace, pod, options) => logLines(connection, namespace, pod, options),
    exec: (namespace, pod, options) => exec(connection, namespace, pod, options),
    close: () => connection.close(),
  };
}

async function* logLines(
  connection: Connection,
  namespace: string,
  pod: string,
  options: LogOptions,
): AsyncGenerator<string, void, undefined> {
  const path = withQuery(objectPath(PODS, namespace, pod, "log"), {
    container: options.container,
    timestamps: true,
    follow: options.follow || undefined,
    previous: options.previous || undefined,
    sinceSeconds: options.sinceSeconds,
    tailLines: options.tailLines,
    limitBytes: options.limitBytes,
  });
  const response = await connection.stream(path, options.deadlineMs, options.signal);
  const stop = (): void => void response.destroy();
  options.signal?.addEventListener("abort", stop);
  try {
    yield* linesOf(response);
  } catch (error) {
    if (options.signal?.aborted) return;
    throw new KubeError(0, "Network", `log of ${pod}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  } finally {
    options.signal?.removeEventListener("abort", stop);
    response.destroy();
  }
}

async function* linesOf(response: IncomingMessage): AsyncGenerator<string, void, undefined> {
  response.setEncoding("utf8");
  let rest = "";
  for await (const chunk of response as AsyncIterable<string>) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > MAX_LINE_CHARS) {
      yield rest;
      rest = "";
    }
  }
  if (rest) yield rest;
}

async function exec(
  connection: Connection,
  namespace: string,
  pod: string,
  { container, command, deadlineMs, signal }: ExecOptions,
): Promise<ExecResult> {
  const query = new URLSearchParams({ container, stdout: "true", stderr: "true" });
  for (const word of command) query.append("command", word);
  const { url, options } = await connection.upgrade(`${objectPath(PODS, namespace, pod, "exec")}?${query}`);
  const name = `exec in ${pod}`;
  return await new Promise<ExecResult>((resolve, reject) => {
    const socket = new WebSocket(url, [EXEC_PROTOCOL], { ...options, handshakeTimeout: deadlineMs });
    const output = new ExecOutput();
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      finish();
      socket.terminate();
    };
    const fail = (reason: string, message: string): void =>
      settle(() => reject(new KubeError(0, reason, `${name}: ${message}`)));
    const aborted = (): void => fail("Aborted", "aborted");
    const timer = setTimeout(() => fail("Timeout", `no end within ${deadlineMs} ms`), deadlineMs);
    signal?.addEventListener("abort", aborted);
    socket.on("unexpected-response", (_request, response) => {
      void refusalOf(response, name).then((error) => settle(() => reject(error)));
    });
    socket.on("error", (error) => fail("Network", error.message));
    socket.on("message", (data) => {
      if (!output.add(bytesOf(data))) fail("TooLarge", `more than ${MAX_OUTPUT_BYTES} bytes of output`);
    });
    socket.on("close", () => {
      const result = output.result();
      if (typeof result === "string") fail("Network", result);
      else settle(() => resolve(result));
    });
    if (signal?.aborted) aborted();
  });
}

/** What came by the channels of one run. */
class ExecOutput {
  readonly #chunks: Record<number, Buffer[]> = { [CHANNEL.stdout]: [], [CHANNEL.stderr]: [], [CHANNEL.status]: [] };
  #bytes = 0;

  /** False: it is too much. */
  add(frame: Buffer): boolean {
    this.#bytes += frame.length;
    this.#chunks[frame[0] ?? 0]?.push(frame.subarray(1));
    return this.#bytes <= MAX_OUTPUT_BYTES;
  }

  /** A sentence when nobody said how the program ended. */
  result(): ExecResult | string {
    const said = this.#text(CHANNEL.status);
    if (!said) return "the connection was cut before the program ended";
    const exitCode = exitCodeOf(said);
    if (typeof exitCode === "string") return exitCode;
    return { exitCode, stdout: this.#text(CHANNEL.stdout), stderr: this.#text(CHANNEL.stderr) };
  }

  #text(channel: number): string {
    return Buffer.concat(this.#chunks[channel] ?? []).toString("utf8");
  }
}

interface ExecStatus {
  status?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

/** The exit code of a status, or what kept the program from running. */
function exitCodeOf(text: string): number | string {
  let said: ExecStatus;
  try {
    said = JSON.parse(text) as ExecStatus;
  } catch {
    return text;
  }
  if (said.status === "Success") return 0;
  const code = said.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
  return code === undefined ? (said.message ?? text) : Number(code);
}

function bytesOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

async function refusalOf(response: IncomingMessage, name: string): Promise<KubeError> {
  const status = response.statusCode ?? 0;
  let body = "";
  try {
    response.setEncoding("utf8");
    for await (const chunk of response as AsyncIterable<string>) {
      body += chunk;
      if (body.length > 64 * 1024) break;
    }
    return kubeErrorOf(status, { ...(JSON.parse(body) as KubeStatus), code: status }, name);
  } catch (cause) {
    return new KubeError(status, `HTTP${status}`, `${name}: ${body.slice(0, 500) || `status ${status}`}`, { cause });
  }
}
