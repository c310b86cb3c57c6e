// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "../errors.ts";
import type { PostSpans } from "./span-sender.ts";

const TIMEOUT_MS = 3000;

/** Where and how {@link postSpans} sends. */
export interface CollectorTarget {
  /** Base of the collector; `/v1/traces` is added. */
  endpoint: string;
  headers: Readonly<Record<string, string>>;
  /** Default 3000. */
  timeoutMs?: number;
}

/** OTLP over HTTP, as JSON: any status below 300 takes the spans. Redirects are not followed: the headers may hold a credential. */
export function postSpans({ endpoint, headers, timeoutMs = TIMEOUT_MS }: CollectorTarget): PostSpans {
  const url = `${endpoint.replace(/\/+$/, "")}/v1/traces`;
  return async (body) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const all = { ...headers, "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers: all, body, signal, redirect: "manual" }).catch(
      (error: unknown) => {
        throw new ImError(ErrorCode.RETRYABLE, `the collector cannot be reached: ${reasonOf(error)}`);
      },
    );
    // It says nothing that is needed, and might say much.
    await response.body?.cancel().catch(() => undefined);
    if (response.status >= 300)
      throw new ImError(ErrorCode.RETRYABLE, `the collector answers HTTP ${response.status} to POST /v1/traces`);
  };
}

/** The code of the network where there is one: sentences of fetch say "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const { cause } = error;
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  return typeof code === "string" ? code : error.name;
}
