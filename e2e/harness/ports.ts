// SPDX-License-Identifier: Apache-2.0
import { createServer } from "node:net";

/** Below the kernel's ephemeral range (32768+) and the NodePort range (30000+), so that no outgoing connection takes it. */
const FIRST_PORT = 15_000;
const LAST_PORT = 29_999;
const MAX_TRIES = 100;

/**
 * A loopback TCP port that is free now and that nothing takes by accident while its server restarts.
 * Prefer port 0 where the server can report what it got: another process may still win the race for this one.
 * @throws Error when 100 random ports are all taken
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if (await canBind(port)) return port;
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT} after ${MAX_TRIES} tries`);
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}
