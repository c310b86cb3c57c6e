// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

const LISTENING = "0A";

/** Bytes that the kernel holds for peers of a local port who have not taken them; from the text of /proc/net/tcp. */
export function queuedBytesIn(table: string, port: number): number {
  const hexPort = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  let bytes = 0;
  for (const line of table.split("\n").slice(1)) {
    const [, local = "", , state = "", queues = ""] = line.trim().split(/\s+/);
    if (!local.endsWith(hexPort) || state === LISTENING) continue;
    bytes += Number.parseInt(queues.split(":")[0] ?? "0", 16);
  }
  return bytes;
}

/** As {@link queuedBytesIn}, now, over IPv4 and IPv6; sockets whose process has let go of them count as well. */
export function queuedBytes(port: number): number {
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].map((path) => readFileSync(path, "latin1"));
  return tables.reduce((sum, table) => sum + queuedBytesIn(table, port), 0);
}
