// SPDX-License-Identifier: Apache-2.0
import { isIPv6 } from "node:net";

/** `host:port` as URLs and gRPC targets want it: an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
