// SPDX-License-Identifier: Apache-2.0
import { isIPv6 } from "node:net";

/** `host:port` as URLs and gRPC targets want it: an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

const HOST_PORT = /^(?:\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):(\d{1,5})$/;

/** Is this a host and a port that something may listen on? */
export function isHostPort(text: string): boolean {
  const port = Number(HOST_PORT.exec(text)?.[1] ?? 0);
  return port > 0 && port < 65_536;
}
