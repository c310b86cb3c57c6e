// SPDX-License-Identifier: Apache-2.0
import type { Socket } from "node:net";

/** What tells a socket from others. */
export type Ends = Pick<Socket, "remoteAddress" | "remotePort" | "localAddress" | "localPort">;

/** Addresses that proxies told, by the ends of open sockets: a TLS socket does not know which socket it lies on. */
export class ToldAddresses {
  readonly #told = new Map<string, { address: string }>();

  /** Of how many sockets. */
  get size(): number {
    return this.#told.size;
  }

  /** Keeps the address until the socket closes. */
  add(socket: Ends & { once(event: "close", listener: () => void): unknown }, address: string): void {
    const key = keyOf(socket);
    const entry = { address };
    this.#told.set(key, entry);
    // A peer may use its port again before we hear of the end of the socket that had it.
    socket.once("close", () => {
      if (this.#told.get(key) === entry) this.#told.delete(key);
    });
  }

  of(socket: Ends): string | undefined {
    return this.#told.size > 0 ? this.#told.get(keyOf(socket))?.address : undefined;
  }
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Ends): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
