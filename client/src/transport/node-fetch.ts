// SPDX-License-Identifier: Apache-2.0
// fetch with an own certificate authority. Node only: reached through the entry point node.ts, never from index.ts.
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { Readable } from "node:stream";
import type { FetchLike } from "./http.ts";
import type { TlsOptions } from "./tcp.ts";

const NO_CONTENT = 204;

/** As much of `fetch` as the HTTP transport needs, with `tls` deciding whom to trust. */
export function nodeFetch(tls: TlsOptions): FetchLike {
  const trust = {
    ...(tls.ca === undefined ? {} : { ca: typeof tls.ca === "string" ? tls.ca : Buffer.from(tls.ca) }),
    ...(tls.servername === undefined ? {} : { servername: tls.servername }),
  };
  const https = new HttpsAgent({ keepAlive: true, minVersion: "TLSv1.3", ...trust });
  const http = new HttpAgent({ keepAlive: true });
  return (url, { method = "GET", headers = {}, body, signal }) =>
    new Promise((resolve, reject) => {
      const options = { method, headers: headers as Record<string, string>, ...(signal ? { signal } : {}) };
      const onResponse = (answer: IncomingMessage): void => {
        try {
          resolve(responseOf(answer));
        } catch (error) {
          // A status that no Response may have, from whatever stands in between.
          answer.destroy();
          reject(error as Error);
        }
      };
      const request = url.startsWith("https:")
        ? requestHttps(url, { ...options, agent: https }, onResponse)
        : requestHttp(url, { ...options, agent: http }, onResponse);
      request.on("error", reject);
      request.end(body);
    });
}

function responseOf(answer: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) headers.set(name, String(value));
  const status = answer.statusCode ?? 0;
  if (status === NO_CONTENT) answer.resume();
  const body = status === NO_CONTENT ? null : (Readable.toWeb(answer) as ReadableStream);
  return new Response(body, { status, headers });
}
