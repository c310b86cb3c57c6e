// SPDX-License-Identifier: Apache-2.0

/** In the order in which clients try them: entries themselves, further addresses of the fleet, load balancers. */
export const ENDPOINT_KINDS = ["direct", "list", "balancer"] as const;
export type EndpointKind = (typeof ENDPOINT_KINDS)[number];

/** A public address of the fleet. */
export interface Endpoint {
  readonly kind: EndpointKind;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Share of the clients among the endpoints of its kind: 1 to 1000. */
  readonly weight: number;
}

/** Of one fleet: what an answer may hold. */
export const MAX_ENDPOINTS = 64;
export const DEFAULT_ENDPOINT_PORT = 443;

const HOST = "[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]{2,45}\\]";
const PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]";
/** As it is in a configuration: `direct=im-1.example.com:8443*2`. The CRD has the same pattern. */
export const ENDPOINT_PATTERN = `^(${ENDPOINT_KINDS.join("|")})=(${HOST})(:(${PORT}))?(\\*([1-9][0-9]{0,2}|1000))?$`;

const ENDPOINT = new RegExp(ENDPOINT_PATTERN);
const HOST_HEADER = new RegExp(`^(${HOST})(:(${PORT}))?$`);

/** `KIND=HOST[:PORT][*WEIGHT]`; undefined when it is something else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const [, kind, host, , , port, , weight] = ENDPOINT.exec(text) ?? [];
  return kind && host ? endpoint(kind as EndpointKind, host, port, weight) : undefined;
}

/** The load balancer by whose name this server was asked; undefined when the header names none. */
export function balancerOf(hostHeader: string | undefined): Endpoint | undefined {
  const [, host, , , port] = HOST_HEADER.exec(hostHeader ?? "") ?? [];
  return host ? endpoint("balancer", host, port, undefined) : undefined;
}

/** `host:port` as URLs have it. */
export function addressOf({ host, port }: Endpoint): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function endpoint(kind: EndpointKind, host: string, port: string | undefined, weight: string | undefined): Endpoint {
  return {
    kind,
    host: host.replace(/^\[|\]$/g, ""),
    port: port === undefined ? DEFAULT_ENDPOINT_PORT : Number(port),
    weight: weight === undefined ? 1 : Number(weight),
  };
}
