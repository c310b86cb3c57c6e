// SPDX-License-Identifier: Apache-2.0

/** The port that `kubectl port-forward` says it listens on; undefined for other lines. Pure. */
export function forwardedPort(line: string): number | undefined {
  const [, port] = /^Forwarding from 127\.0\.0\.1:(\d+) ->/.exec(line) ?? [];
  return port === undefined ? undefined : Number(port);
}
