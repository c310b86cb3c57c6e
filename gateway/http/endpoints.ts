// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { addressOf, balancerOf, ENDPOINT_KINDS, type Endpoint, MAX_ENDPOINTS } from "#lib/endpoint.ts";

export const ENDPOINTS_PATH = "/v1/endpoints";
/** For this long an answer may be used, by caches and clients. */
export const ENDPOINTS_TTL_MS = 300_000;

/** The answer, as JSON. */
export interface EndpointsAnswer {
  ttlMs: number;
  /** Best rank first, at most {@link MAX_ENDPOINTS}. */
  endpoints: { rank: number; kind: string; address: string; weight: number }[];
}

/**
 * `GET /v1/endpoints`: where else the fleet can be reached, for anybody who can reach this entry. Nothing of it is secret or
 * depends on who asks, so it may be cached. Without a load balancer in the configuration the host that was asked is taken for one.
 */
export class EndpointList {
  readonly #endpoints: readonly Endpoint[];
  readonly #hasBalancer: boolean;

  constructor(endpoints: readonly Endpoint[]) {
    // Stable: the order of the configuration within a rank.
    this.#endpoints = [...endpoints].sort((a, b) => rankOf(a) - rankOf(b)).slice(0, MAX_ENDPOINTS);
    this.#hasBalancer = endpoints.some(({ kind }) => kind === "balancer");
  }

  answer(hostHeader: string | undefined): EndpointsAnswer {
    const asked = this.#hasBalancer ? undefined : balancerOf(hostHeader);
    const all = asked ? [...this.#endpoints.slice(0, MAX_ENDPOINTS - 1), asked] : this.#endpoints;
    return {
      ttlMs: ENDPOINTS_TTL_MS,
      endpoints: all.map((endpoint) => ({
        rank: rankOf(endpoint),
        kind: endpoint.kind,
        address: addressOf(endpoint),
        weight: endpoint.weight,
      })),
    };
  }

  /** Answers GET or HEAD; the origin was looked at. */
  serve(request: IncomingMessage, response: ServerResponse): void {
    const body = Buffer.from(JSON.stringify(this.answer(request.headers.host)));
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": body.length,
      "cache-control": `public, max-age=${ENDPOINTS_TTL_MS / 1000}`,
      // Also of an answer to nobody's page: a cache must not give that to one that needs leave.
      vary: "origin",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }
}

function rankOf({ kind }: Endpoint): number {
  return ENDPOINT_KINDS.indexOf(kind) + 1;
}
