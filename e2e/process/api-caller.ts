// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Scope } from "../../logic/server-api/api-key.ts";

const KEYS_MAIN = join(import.meta.dirname, "../../logic/server-api/keys-main.ts");
const CALL_TIMEOUT_MS = 30_000;

/** What a call of the server API was answered. */
export interface ApiReply {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

export interface ApiAsk {
  method: string;
  path: string;
  key?: string | undefined;
  body?: object | undefined;
  idempotencyKey?: string;
  traceparent?: string;
}

/** Calls the server API; a POST gets a fresh idempotency key unless it has one. */
export async function callApi(
  port: number,
  { method, path, key, body, idempotencyKey, traceparent }: ApiAsk,
): Promise<ApiReply> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (key !== undefined) headers.authorization = `Bearer ${key}`;
  if (method !== "GET") headers["idempotency-key"] = idempotencyKey ?? randomUUID();
  if (traceparent !== undefined) headers.traceparent = traceparent;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    ...{ method, headers, signal: AbortSignal.timeout(CALL_TIMEOUT_MS) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? {} : JSON.parse(text) };
}

/** Runs keys-main.ts as an administrator does; resolves with what it printed. */
export async function apiKeys(postgresUrl: string, ...args: string[]): Promise<Record<string, unknown>> {
  const env = { ...process.env, IM_POSTGRES_URL: postgresUrl };
  return await new Promise((resolve, reject) => {
    execFile(process.execPath, [KEYS_MAIN, ...args], { env, timeout: 60_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`keys-main.ts ${args.join(" ")}: ${stderr}`, { cause: error }));
      else resolve(JSON.parse(stdout) as Record<string, unknown>);
    });
  });
}

/** A new key with these scopes. */
export async function createApiKey(postgresUrl: string, scopes: readonly Scope[], tenant = ""): Promise<string> {
  const owner = tenant === "" ? [] : ["--tenant", tenant];
  const made = await apiKeys(postgresUrl, "create", "--name", "test", "--scopes", scopes.join(","), ...owner);
  assert.ok(typeof made.key === "string");
  return made.key;
}
