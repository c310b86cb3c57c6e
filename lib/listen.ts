// SPDX-License-Identifier: Apache-2.0
import type { AddressInfo, Server } from "node:net";

/** Connections the kernel keeps for us while the event loop is busy: a reconnect storm comes in bursts. */
const BACKLOG = 4096;

/**
 * Binds `server`; resolves with the port (0 asks for any).
 * "::" takes IPv4 too, and means 0.0.0.0 where the machine has no IPv6.
 */
export async function listen(server: Server, port: number, host = "::"): Promise<number> {
  try {
    return await attempt(server, port, host);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (host !== "::" || (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL")) throw error;
    return attempt(server, port, "0.0.0.0");
  }
}

function attempt(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
