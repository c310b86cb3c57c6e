// SPDX-License-Identifier: Apache-2.0
import { createServer, type ListenOptions } from "node:net";
import { ETCD_CLIENT_PORT, ETCD_PEER_PORT } from "../../scripts/cluster/layout.ts";

/** Below the kernel's ephemeral range (32768+) and the NodePort range (30000+), so that no outgoing connection takes it. */
const FIRST_PORT = 15_000;
const LAST_PORT = 29_999;
const MAX_TRIES = 100;
/** Of the local cluster, which may be started at any time beside. */
const KEPT_FREE: ReadonlySet<number> = new Set([ETCD_CLIENT_PORT, ETCD_PEER_PORT]);

/**
 * A TCP port that is free now and that nothing takes by accident while its server restarts: no other process that asks
 * here gets it as long as this one lives, though nobody listens on it yet. `random`: uniform in [0, 1).
 * @throws Error when 100 random ports are all taken
 */
export async function freePort(random: () => number = Math.random): Promise<number> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const port = FIRST_PORT + Math.floor(random() * (LAST_PORT - FIRST_PORT + 1));
    if (!KEPT_FREE.has(port) && (await reserve(port))) return port;
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT} after ${MAX_TRIES} tries`);
}

/**
 * The reservation is a name in the abstract socket namespace: one holder at a time, valid where the port is (one network
 * namespace), and gone with its process, however that ends.
 */
async function reserve(port: number): Promise<boolean> {
  const release = await hold({ path: `\0imcluster-port-${port}` });
  if (!release) return false;
  // Somebody else's server, of whatever address.
  const unbind = await hold({ port, exclusive: true });
  if (unbind) await unbind();
  else await release();
  return unbind !== undefined;
}

/** Listens, without keeping the process alive; resolves with how to end it, undefined when the address is taken. */
function hold(address: ListenOptions): Promise<(() => Promise<void>) | undefined> {
  return new Promise((resolve) => {
    const server = createServer().unref();
    server.once("error", () => resolve(undefined));
    server.listen(address, () => resolve(() => new Promise((closed) => server.close(() => closed()))));
  });
}
