// SPDX-License-Identifier: Apache-2.0
import { get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { round1 } from "../bench-kit.ts";

const TIMEOUT_MS = 10_000;

/** How many scrapes took how long, and what they carried. */
export interface ScrapeFigures {
  scrapes: number;
  p50Ms: number;
  p95Ms: number;
  maxMs: number;
  kib: number;
  /** With gzip, which a Prometheus asks for, and which the pods do not do. */
  gzipKib: number;
}

/** One scrape as Prometheus does it, on a connection of its own; from its first byte to the last one of the answer. */
function scrape(port: number, accept: string): Promise<{ ms: number; body: Buffer }> {
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      port,
      path: "/metrics",
      agent: false,
      headers: { accept },
      timeout: TIMEOUT_MS,
    };
    const request = get(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () => {
        if (response.statusCode === 200) resolve({ ms: performance.now() - startedMs, body: Buffer.concat(chunks) });
        else reject(new Error(`/metrics answered ${response.statusCode}`));
      });
    });
    request.once("timeout", () => request.destroy(new Error(`/metrics did not answer within ${TIMEOUT_MS} ms`)));
    request.once("error", reject);
  });
}

/** Scrapes again and again, each after a pause. */
export async function measureScrapes(
  port: number,
  { count, pauseMs, accept }: { count: number; pauseMs: number; accept: string },
): Promise<ScrapeFigures> {
  const times: number[] = [];
  let body: Buffer = Buffer.alloc(0);
  for (let at = 0; at < count; at++) {
    await sleep(pauseMs);
    const scraped = await scrape(port, accept);
    times.push(scraped.ms);
    body = scraped.body;
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => round1(times[Math.ceil(count * share) - 1] ?? Number.NaN);
  const kib = (bytes: number): number => round1(bytes / 1024);
  return {
    ...{ scrapes: count, p50Ms: at(0.5), p95Ms: at(0.95), maxMs: at(1) },
    ...{ kib: kib(body.byteLength), gzipKib: kib(gzipSync(body).byteLength) },
  };
}
