// SPDX-License-Identifier: Apache-2.0
import type { PushFailure } from "../provider.ts";

/** Deadline of one call, connection included, ms. */
export const CALL_TIMEOUT_MS = 5000;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_RETRY_AFTER_MS = 86_400_000;

/** A provider's answer over HTTP. */
export interface HttpAnswer {
  readonly kind: "answer";
  readonly status: number;
  /** Parsed JSON object, `{}` when the body is none. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly retryAfterMs: number | undefined;
}

export interface HttpCall {
  url: string;
  method?: "GET" | "POST";
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  signal: AbortSignal;
  timeoutMs?: number | undefined;
  /** Wall clock, for Retry-After with a date. */
  wallMs: () => number;
}

/**
 * One HTTP call without redirects, bounded in time and size. Faults are values; their reason names neither the URL's
 * query nor anything that was sent.
 */
export async function callHttp(call: HttpCall): Promise<HttpAnswer | PushFailure> {
  try {
    const response = await fetch(call.url, {
      method: call.method ?? "POST",
      headers: { "user-agent": "imcluster", ...call.headers },
      ...(call.body === undefined ? {} : { body: call.body }),
      redirect: "manual",
      signal: AbortSignal.any([call.signal, AbortSignal.timeout(call.timeoutMs ?? CALL_TIMEOUT_MS)]),
    });
    const text = await readBounded(response);
    const retryAfterMs = readRetryAfter(response.headers.get("retry-after"), call.wallMs());
    return { kind: "answer", status: response.status, body: parseObject(text), retryAfterMs };
  } catch (error) {
    return { kind: "failed", reason: describeFault(error) };
  }
}

async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += (part as Uint8Array).length;
    // What is longer is no answer of a provider: its status says enough.
    if (bytes > MAX_ANSWER_BYTES) break;
    parts.push(part as Uint8Array);
  }
  return Buffer.concat(parts).toString("utf8");
}

export function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // Not JSON: the status decides.
    return {};
  }
}

/** Seconds or an HTTP date, at most a day; undefined when absent or unreadable. */
export function readRetryAfter(value: string | null | undefined, nowMs: number): number | undefined {
  if (value === null || value === undefined) return undefined;
  const text = value.trim();
  const delayMs = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(delayMs) ? undefined : Math.min(MAX_RETRY_AFTER_MS, Math.max(0, delayMs));
}

/** "Try later" with the pause that was asked for, if any. */
export function failure(reason: string, retryAfterMs?: number, scope?: "address"): PushFailure {
  return {
    kind: "failed",
    reason,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(scope ? { scope } : {}),
  };
}

/** Name and code of a fault; messages may carry what was sent, so they stay out. */
export function describeFault(error: unknown): string {
  if (!(error instanceof Error)) return "unknown fault";
  if (error.name === "TimeoutError") return "no answer in time";
  if (error.name === "AbortError") return "stopped";
  const cause = error.cause instanceof Error ? error.cause : error;
  const code = (cause as NodeJS.ErrnoException).code;
  return code ?? cause.name;
}

const RETRYABLE_STATUS: ReadonlySet<number> = new Set([408, 425, 429]);

/** Is the provider in trouble, rather than the request? */
export function isRetryableStatus(status: number): boolean {
  return status >= 500 || RETRYABLE_STATUS.has(status);
}
